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

// Certificate is a certificate and its key in two files. When the files change
// they are read again, so that a renewal needs no restart.
type Certificate struct {
	cfg TLSConfig
	log *slog.Logger
	now func() time.Time

	// mu guards what follows.
	mu      sync.Mutex
	pair    *tls.Certificate
	read    stamp     // what the files were when they were last read, well or not
	checked time.Time // when they were last looked at
}

// stamp is by what changed files are known.
type stamp struct {
	certTime, keyTime time.Time
	certSize, keySize int64
}

// checkEvery is how often files are looked at, at the most: by whichever
// handshake comes first.
const checkEvery = 2 * time.Second

// LoadCertificate reads the files of a configuration, or gives nil where it
// names none. now is the clock; nil means time.Now.
func LoadCertificate(cfg TLSConfig, log *slog.Logger, now func() time.Time) (*Certificate, error) {
	if !cfg.Enabled() {
		return nil, nil
	}
	if now == nil {
		now = time.Now
	}
	c := &Certificate{cfg: cfg, log: log, now: now, checked: now()}
	var err error
	if c.read, err = cfg.stat(); err != nil {
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

func (c TLSConfig) stat() (s stamp, err error) {
	cert, err := os.Stat(c.Cert)
	if err != nil {
		return s, err
	}
	key, err := os.Stat(c.Key)
	if err != nil {
		return s, err
	}
	return stamp{cert.ModTime(), key.ModTime(), cert.Size(), key.Size()}, nil
}

// current is the certificate to use now. A pair that cannot be read, such as
// one of which only half has been replaced yet, leaves the one there is and is
// logged once.
func (c *Certificate) current(ctx context.Context) *tls.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if now.Sub(c.checked) < checkEvery {
		return c.pair
	}
	c.checked = now
	found, err := c.cfg.stat() // zero where a file is missing
	if found == c.read {
		return c.pair
	}
	c.read = found
	var pair *tls.Certificate
	if err == nil {
		pair, err = c.cfg.load()
	}
	if err != nil {
		c.log.ErrorContext(ctx, "certificate not read; the one before stays in use", "err", err)
		return c.pair
	}
	c.pair = pair
	c.log.InfoContext(ctx, "certificate read again")
	return pair
}

// config is what the server's connections use.
func (c *Certificate) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			return c.current(hello.Context()), nil
		},
	}
}
