package cli

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"
)

// progress shows the progress of several tasks: on a terminal as one line that
// is redrawn, elsewhere as a line for each new stage.
type progress struct {
	out      io.Writer
	terminal bool

	// mu guards the fields below.
	mu    sync.Mutex
	order []string
	items map[string]progressItem
	drawn time.Time
}

// progressItem is the state of one task.
type progressItem struct {
	// stage is printed once if there is no terminal; "" prints nothing.
	stage string
	// text is drawn on a terminal.
	text string
	done bool
}

// redraw is the shortest time between two drawings.
const redraw = 100 * time.Millisecond

func newProgress(out io.Writer) *progress {
	f, ok := out.(*os.File)
	return &progress{
		out:      out,
		terminal: ok && term.IsTerminal(int(f.Fd())),
		items:    map[string]progressItem{},
	}
}

// show records the state of a task and draws it. It is safe for concurrent
// use.
func (p *progress) show(name string, item progressItem) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last, known := p.items[name]
	if !known {
		p.order = append(p.order, name)
	}
	p.items[name] = item
	if !p.terminal {
		if item.stage != "" && item.stage != last.stage && !item.done {
			fmt.Fprintf(p.out, "%s: %s\n", name, item.stage)
		}
		return
	}
	if time.Since(p.drawn) < redraw {
		return
	}
	p.drawn = time.Now()
	var parts []string
	for _, name := range p.order {
		if i := p.items[name]; !i.done {
			parts = append(parts, name+": "+i.text)
		}
	}
	fmt.Fprintf(p.out, "\r\x1b[K%s", strings.Join(parts, "  "))
}

// clear erases the line.
func (p *progress) clear() {
	if p.terminal {
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}

// bar returns a bar of the part of total that is done.
func bar(done, total int64) string {
	const width = 20
	full := int(width * min(done, total) / max(total, 1))
	return "[" + strings.Repeat("#", full) + strings.Repeat(".", width-full) + "]"
}
