package server_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"oriel/server"
)

// writePair writes a certificate for 127.0.0.1 with a serial number, and its
// key.
func writePair(t *testing.T, cfg server.TLSConfig, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	cert, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "oriel"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}, &x509.Certificate{SerialNumber: big.NewInt(serial)}, &key.PublicKey, key)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(cfg.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}), 0o600))
	require.NoError(t, os.WriteFile(cfg.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o600))
	// Two pairs may be written within the resolution of the file system's times.
	at := time.Unix(1_700_000_000+serial, 0)
	require.NoError(t, os.Chtimes(cfg.Cert, at, at))
	require.NoError(t, os.Chtimes(cfg.Key, at, at))
}

// run runs a server until the test ends and returns its address.
func run(t *testing.T, o server.Options) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := server.New(o).Run(ctx, l); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		stop()
		wg.Wait()
	})
	return l.Addr().String()
}

// clock is a clock that tests set.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func TestTLS(t *testing.T) {
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, ignore) }) // after the other cleanups
	w := newWorld(t)
	dir := t.TempDir()
	cfg := server.TLSConfig{Cert: "cert.pem", Key: "key.pem"}
	cfg.Resolve(dir)
	log := &syncBuffer{}
	none, err := server.LoadCertificate(server.TLSConfig{}, slog.New(slog.DiscardHandler), nil)
	require.NoError(t, err)
	require.Nil(t, none)
	_, err = server.LoadCertificate(cfg, slog.New(slog.DiscardHandler), nil)
	require.ErrorIs(t, err, os.ErrNotExist)

	writePair(t, cfg, 1)
	clock := &clock{at: time.Now()}
	cert, err := server.LoadCertificate(cfg, slog.New(slog.NewTextHandler(log, nil)), clock.now)
	require.NoError(t, err)
	addr := run(t, server.Options{Manifests: w.db, Updates: w.db, Matcher: matcher{w.db}, Log: slog.New(slog.DiscardHandler), IndexState: state, Certificate: cert})

	get := func(o *tls.Config) (serial int64, proto string, err error) {
		o.InsecureSkipVerify = true // self-signed; the test checks the serial number
		tr := &http.Transport{TLSClientConfig: o, ForceAttemptHTTP2: o.NextProtos == nil}
		defer tr.CloseIdleConnections()
		res, err := (&http.Client{Transport: tr}).Get("https://" + addr + iState)
		if err != nil {
			return 0, "", err
		}
		defer res.Body.Close()
		require.Equal(t, 200, res.StatusCode)
		require.Empty(t, res.Header.Get("Server"))
		return res.TLS.PeerCertificates[0].SerialNumber.Int64(), res.Proto, nil
	}
	serial := func() int64 {
		t.Helper()
		n, _, err := get(&tls.Config{})
		require.NoError(t, err)
		return n
	}
	n, proto, err := get(&tls.Config{})
	require.NoError(t, err)
	require.EqualValues(t, 1, n)
	require.Equal(t, "HTTP/2.0", proto)
	_, proto, err = get(&tls.Config{NextProtos: []string{"http/1.1"}})
	require.NoError(t, err)
	require.Equal(t, "HTTP/1.1", proto)
	_, _, err = get(&tls.Config{MaxVersion: tls.VersionTLS12, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}})
	require.NoError(t, err)
	_, _, err = get(&tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10, NextProtos: []string{"http/1.1"}})
	require.ErrorContains(t, err, "protocol version", "TLS 1.1 is too old")

	writePair(t, cfg, 2)
	require.EqualValues(t, 1, serial(), "files are not checked at each handshake")
	clock.move(3 * time.Second)
	require.EqualValues(t, 2, serial())

	require.NoError(t, os.WriteFile(cfg.Key, []byte("half a ke"), 0o600))
	for range 3 {
		clock.move(3 * time.Second)
		require.EqualValues(t, 2, serial(), "if a pair cannot be loaded, the previous one stays in use")
	}
	require.NoError(t, os.Remove(cfg.Key))
	for range 3 {
		clock.move(3 * time.Second)
		require.EqualValues(t, 2, serial())
	}
	require.Equal(t, 2, strings.Count(log.String(), "certificate not loaded"), "each fault is logged once: %s", log.String())
	writePair(t, cfg, 3)
	clock.move(3 * time.Second)
	require.EqualValues(t, 3, serial())
}

// Clair's clients may speak HTTP/2 in cleartext.
func TestServer_H2C(t *testing.T) {
	w := newWorld(t)
	addr := run(t, server.Options{Manifests: w.db, Updates: w.db, Matcher: matcher{w.db}, Log: slog.New(slog.DiscardHandler), IndexState: state})
	p := new(http.Protocols)
	p.SetUnencryptedHTTP2(true)
	tr := &http.Transport{Protocols: p}
	defer tr.CloseIdleConnections()
	res, err := (&http.Client{Transport: tr}).Get("http://" + addr + iState)
	require.NoError(t, err)
	defer res.Body.Close()
	require.Equal(t, 200, res.StatusCode)
	require.Equal(t, 2, res.ProtoMajor)
}

// syncBuffer is a buffer for several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
