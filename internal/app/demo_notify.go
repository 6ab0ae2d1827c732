package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"oriel/notify"
)

// demoReceiver is the endpoint that receives the demonstration's notification.
type demoReceiver struct {
	url string
	// got has the body of the first delivery.
	got   chan string
	close func() error
}

// newDemoReceiver starts a receiver on loopback. The caller closes it.
func newDemoReceiver(ctx context.Context) (*demoReceiver, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen for the notification: %w", err)
	}
	r := &demoReceiver{url: "http://" + l.Addr().String() + "/", got: make(chan string, 1)}
	srv := &http.Server{Handler: r, ReadTimeout: 10 * time.Second}
	var serving sync.WaitGroup
	var served error
	serving.Go(func() { served = srv.Serve(l) })
	r.close = func() error {
		err := srv.Close()
		serving.Wait()
		if errors.Is(served, http.ErrServerClosed) {
			return err
		}
		return errors.Join(err, served)
	}
	return r, nil
}

// ServeHTTP receives a delivery.
func (r *demoReceiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	const most = 64 << 10
	body, err := io.ReadAll(io.LimitReader(req.Body, most))
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	select {
	case r.got <- string(body):
	default: // one is enough to show
	}
}

// webhook returns the receiver's table in the configuration.
func (r *demoReceiver) webhook() notify.Webhook {
	return notify.Webhook{
		Name:   "demo",
		URL:    r.url,
		Format: notify.FormatFull,
	}
}

// showNotification imports the next version of the sample feed and prints the
// delivery that follows from it.
func (o *demonstration) showNotification(ctx context.Context, a *App, dir string, r *demoReceiver) error {
	if err := os.CopyFS(filepath.Join(dir, "osv"), os.DirFS(filepath.Join(dir, "next"))); err != nil {
		return err
	}
	results, err := a.updates.Update(ctx, "demo/osv")
	if err != nil {
		return err
	}
	for _, res := range results {
		for _, op := range res.Operations {
			fmt.Fprintf(o.stdout, "\nfeed %s has a new version: %d added, update operation %s\n", res.Updater, op.Added, op.Ref)
		}
	}
	select {
	case body := <-r.got:
		fmt.Fprintf(o.stdout, "  notification delivered to %s:\n  %s\n", r.url, body)
		return nil
	case <-ctx.Done():
		return nil // the demonstration was ended before
	}
}
