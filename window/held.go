package window

import (
	"maps"
	"slices"
	"time"
)

// OpenHeld opens a session of a platform whose list is not available yet. Its
// sessions are queued until Release starts a pass or Refuse ends them. If the
// platform has a pass, OpenHeld is the same as Open. The error is ErrQueueFull
// or ErrClientFull.
func (m *Machine) OpenHeld(now time.Time, platform, client string) (Session, error) {
	defer m.lock(now)()
	return m.open(platform, client, true)
}

// Held returns the platforms that wait for Release or Refuse, sorted by name.
func (m *Machine) Held() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []string
	for _, name := range slices.Sorted(maps.Keys(m.platforms)) {
		if m.platforms[name].held {
			out = append(out, name)
		}
	}
	return out
}

// Release starts the first pass of a held platform.
func (m *Machine) Release(now time.Time, platform string) {
	defer m.lock(now)()
	if pl := m.platforms[platform]; pl != nil && pl.held {
		pl.held = false
		m.startPass(pl)
	}
}

// Refuse ends the sessions of a held platform, whose list will not be available.
// Detail is why.
func (m *Machine) Refuse(now time.Time, platform, detail string) {
	defer m.lock(now)()
	pl := m.platforms[platform]
	if pl == nil || !pl.held {
		return
	}
	for _, s := range slices.Clone(pl.queue) {
		m.remove(s)
		m.expelled.add(s.id, ended{platform: platform, reason: Unavailable, detail: detail})
	}
}
