package server

import "maps"

// MemoryHeld returns how many bytes bodies and streams hold, and the most that
// they have held.
func (s *Server) MemoryHeld() (now, most int64) {
	s.memory.mu.Lock()
	defer s.memory.mu.Unlock()
	return s.memory.used, s.memory.most
}

// RouteTable returns the role that each route requires, by "METHOD path".
func (s *Server) RouteTable() map[string]string {
	names := map[role]string{roleOpen: "open"}
	for name, r := range roles {
		names[r] = name
	}
	out := map[string]string{}
	for at, r := range maps.All(s.roles) {
		out[at] = names[r]
	}
	return out
}
