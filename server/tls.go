package server

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// Certificate is a certificate and its key, loaded from two files. When the
// files change they are loaded again, so that a renewal needs no restart.
type Certificate struct {
	cfg TLSConfig
	log *slog.Logger
	now func() time.Time

	// mu guards the fields below.
	mu      sync.Mutex
	pair    *tls.Certificate
	loaded  fileStamp // of the files at the last attempt to load them
	checked time.Time // when the files were last checked for changes
}

// fileStamp changes when one of the files changes.
type fileStamp struct {
	certTime, keyTime time.Time
	certSize, keySize int64
}

// checkInterval is the minimum interval between checks for changed files, which
// handshakes make.
const checkInterval = 2 * time.Second

// LoadCertificate loads the files of a configuration. It returns nil if none are
// configured. now is the clock; nil means time.Now.
func LoadCertificate(cfg TLSConfig, log *slog.Logger, now func() time.Time) (*Certificate, error) {
	if !cfg.Enabled() {
		return nil, nil
	}
	if now == nil {
		now = time.Now
	}
	c := &Certificate{cfg: cfg, log: log, now: now, checked: now()}
	var err error
	if c.loaded, err = cfg.stat(); err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	if c.pair, err = cfg.load(); err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	return c, nil
}

func (c TLSConfig) load() (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
	return &pair, err
}

func (c TLSConfig) stat() (s fileStamp, err error) {
	cert, err := os.Stat(c.Cert)
	if err != nil {
		return s, err
	}
	key, err := os.Stat(c.Key)
	if err != nil {
		return s, err
	}
	return fileStamp{cert.ModTime(), key.ModTime(), cert.Size(), key.Size()}, nil
}

// current returns the certificate to use now. If a changed pair cannot be
// loaded, for example because only one file has been replaced so far, it logs
// that once and returns the previous certificate.
func (c *Certificate) current(ctx context.Context) *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if now.Sub(c.checked) < checkInterval {
		return c.pair
	}
	c.checked = now
	found, err := c.cfg.stat() // zero if a file is missing
	if found == c.loaded {
		return c.pair
	}
	c.loaded = found
	var pair *tls.Certificate
	if err == nil {
		pair, err = c.cfg.load()
	}
	if err != nil {
		c.log.ErrorContext(ctx, "certificate not loaded; the previous one stays in use", "err", err)
		return c.pair
	}
	c.pair = pair
	c.log.InfoContext(ctx, "certificate loaded")
	return pair
}

// config returns the TLS configuration of the server's connections.
func (c *Certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.current(hello.Context()), nil
		},
	}
}
