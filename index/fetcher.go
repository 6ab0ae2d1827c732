package index

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"

	"oriel/clair"
	"oriel/internal/fetch"
)

// ErrLayer is the error of a layer that could not be fetched or does not have
// its digest. A later attempt may succeed, so it is never an ErrInvalid or an
// ErrNotFound.
var ErrLayer = errors.New("the layer cannot be fetched")

// errTransfer marks an error of the server in the middle of a stream, so that
// it is not taken for an error in the bytes.
var errTransfer = errors.New("the transfer broke off")

// Fetcher fetches layers from the addresses in a manifest.
type Fetcher struct {
	cfg     Config
	tempDir string
	client  *http.Client
	// stall is the longest time for which a server may send nothing.
	stall time.Duration
	lim   limits
}

// NewFetcher returns a fetcher. tempDir is the directory for temporary files,
// the system's if it is "". The fetcher uses no proxy, because that could be
// asked for addresses that must be refused here.
func NewFetcher(cfg Config, tempDir string) *Fetcher {
	f := &Fetcher{cfg: cfg, tempDir: tempDir, stall: time.Minute, lim: defaultLimits()}
	dialer := &net.Dialer{Timeout: 30 * time.Second, Control: f.control}
	f.client = &http.Client{
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: 30 * time.Second,
			MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
			// The digest is of the bytes as they are transferred.
			DisableCompression: true,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if len(via) >= 10 {
				return errors.New("more than 10 redirects")
			}
			return f.schemeAllowed(r.URL, true)
		},
	}
	return f
}

// CloseIdleConnections closes connections that are kept for another layer.
func (f *Fetcher) CloseIdleConnections() { f.client.CloseIdleConnections() }

// control checks the address that is connected to, after names have been
// resolved, so that a name that resolves to another address later is refused,
// too.
func (f *Fetcher) control(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if ip := at.Addr().Unmap(); !f.cfg.AllowPrivate && !isPublic(ip) {
		return fmt.Errorf("%s is not a public address, and indexer.allow_private is not set", ip)
	}
	return nil
}

// special are ranges that are not public and that netip does not report as private:
// "this network", carrier-grade NAT, protocol assignments, benchmarks,
// reserved, and IPv6 ways to say an IPv4 address. Nothing writes to it.
var special = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("192.0.0.0/24"),
	netip.MustParsePrefix("198.18.0.0/15"), netip.MustParsePrefix("240.0.0.0/4"), netip.MustParsePrefix("64:ff9b::/96"),
	netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("fec0::/10"),
}

func isPublic(ip netip.Addr) bool {
	return ip.IsGlobalUnicast() && !ip.IsPrivate() && !slices.ContainsFunc(special, func(p netip.Prefix) bool { return p.Contains(ip) })
}

func (f *Fetcher) schemeAllowed(u *url.URL, redirect bool) error {
	ok := slices.ContainsFunc(f.cfg.LayerSchemes, func(s string) bool { return strings.EqualFold(s, u.Scheme) })
	if !ok || redirect && u.Scheme == "file" {
		return fmt.Errorf("scheme %.20q is not allowed for layers", u.Scheme)
	}
	return nil
}

// Scan fetches a layer and reads its packages, as a stream. A layer with links
// to files that no reader wants by name is fetched again. The bytes must have
// the layer's digest. The error is an ErrLayer if the layer cannot be fetched,
// and an ErrInvalid if it is the right one and cannot be used.
func (f *Fetcher) Scan(ctx context.Context, l clair.Layer) (*LayerResult, error) {
	return f.scanWith(ctx, l, newScanner(l.Hash, f.tempDir))
}

// ScanFiles reads only the named files of a layer, each as the file at another
// path, to which it is linked.
func (f *Fetcher) ScanFiles(ctx context.Context, l clair.Layer, aliases map[string]string) (*LayerResult, error) {
	return f.scanWith(ctx, l, newAliasScanner(l.Hash, f.tempDir, aliases))
}

func (f *Fetcher) scanWith(ctx context.Context, l clair.Layer, s *scanner) (*LayerResult, error) {
	for {
		if err := f.scan(ctx, l, s); err != nil {
			return nil, fmt.Errorf("layer %s: %w", l.Hash, err)
		}
		if !s.again() {
			return s.finish(), nil
		}
	}
}

// scan reads a layer once.
func (f *Fetcher) scan(ctx context.Context, l clair.Layer, s *scanner) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := newWatchdog(f.stall, cancel)
	defer watch.stop()
	body, mediaType, err := f.open(ctx, l)
	if err != nil {
		return unavailable(ctx, err)
	}
	defer body.Close()
	sum, err := hasher(l.Hash)
	if err != nil {
		return err
	}
	in := &layerStream{r: body, sum: sum, left: int64(f.cfg.MaxLayerSize), watch: watch}
	buffered := bufio.NewReaderSize(in, 32<<10)
	if err := agrees(mediaType, buffered); err != nil {
		return unavailable(ctx, err)
	}
	err = scanTar(ctx, buffered, s, f.lim)
	if in.err != nil {
		return in.failure(ctx)
	}
	if err != nil && (ctx.Err() != nil || !errors.Is(err, clair.ErrInvalid)) {
		return unavailable(ctx, err)
	}
	// Bytes of another layer prove nothing about this one, so all of them are
	// read before the result counts, faults included.
	if _, drain := io.Copy(io.Discard, buffered); drain != nil {
		return in.failure(ctx)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); !strings.HasSuffix(string(l.Hash), ":"+got) {
		return fmt.Errorf("%w: its bytes have the digest %s", ErrLayer, got)
	}
	return err
}

// unavailable returns the error of a layer that could not be fetched. It hides
// the kind of the cause, which would be about something else than the manifest.
func unavailable(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("%w: %w", ErrLayer, cause)
	}
	return fmt.Errorf("%w: %v", ErrLayer, err) //nolint:errorlint // hidden on purpose
}

// open asks for a layer with exactly the headers of the manifest.
func (f *Fetcher) open(ctx context.Context, l clair.Layer) (io.ReadCloser, string, error) {
	u, err := url.Parse(l.URI)
	if err != nil || u.Scheme == "" {
		return nil, "", fmt.Errorf("%s is not an address", fetch.Mask(l.URI))
	}
	if err := f.schemeAllowed(u, false); err != nil {
		return nil, "", err
	}
	if strings.EqualFold(u.Scheme, "file") {
		return openLayerFile(l.URI)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.URI, nil)
	if err != nil {
		return nil, "", fmt.Errorf("%s is not an address", fetch.Mask(l.URI))
	}
	for name, values := range l.Headers {
		req.Header[http.CanonicalHeaderKey(name)] = slices.Clone(values)
	}
	if req.Header["User-Agent"] == nil {
		req.Header["User-Agent"] = nil // or the library adds its own
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	res, err := f.client.Do(req)
	if err != nil {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err // which does not repeat the address, whose query may hold a token
		}
		return nil, "", fmt.Errorf("%s: %w", fetch.Mask(l.URI), err)
	}
	if res.StatusCode != http.StatusOK {
		res.Body.Close()
		return nil, "", fmt.Errorf("%s answers %s", fetch.Mask(l.URI), res.Status)
	}
	return res.Body, res.Header.Get("Content-Type"), nil
}

func openLayerFile(address string) (io.ReadCloser, string, error) {
	name, _, err := fetch.Local(address)
	if err != nil {
		return nil, "", err
	}
	// Opening a pipe would block.
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file", name)
	}
	if err != nil {
		return nil, "", err
	}
	file, err := os.Open(name)
	return file, "", err
}

func hasher(d clair.Digest) (hash.Hash, error) {
	switch algorithm, _, _ := strings.Cut(string(d), ":"); algorithm {
	case "sha256":
		return sha256.New(), nil
	case "sha512":
		return sha512.New(), nil
	}
	return nil, clair.Invalid("hash", "%.40q is not the digest of a layer", string(d))
}

// agrees compares the compression that a content type names with the first
// bytes of a layer. Types that name none are accepted.
func agrees(mediaType string, b *bufio.Reader) error {
	if mediaType == "" {
		return nil
	}
	kind, _, err := mime.ParseMediaType(mediaType)
	if err != nil {
		return fmt.Errorf("content type %.60q is invalid", mediaType)
	}
	want := ""
	switch {
	case kind == "text/plain", kind == "binary/octet-stream", kind == "application/octet-stream":
		return nil
	case kind == "application/gzip", kind == "application/x-gzip", strings.HasSuffix(kind, ".tar+gzip"), strings.HasSuffix(kind, ".tar.gzip"):
		want = "gzip"
	case kind == "application/zstd", strings.HasSuffix(kind, ".tar+zstd"):
		want = "zstd"
	case kind == "application/x-tar", strings.HasSuffix(kind, ".tar"):
		want = "no"
	default:
		return fmt.Errorf("content type %.60q is not that of a layer", kind)
	}
	head, err := b.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	got := "no"
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		got = "gzip"
	case bytes.HasPrefix(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		got = "zstd"
	}
	if got != want {
		return fmt.Errorf("content type %s means %s compression, and the bytes have %s", kind, want, got)
	}
	return nil
}

// layerStream reads a layer's bytes as they are transferred: it adds them to
// the digest, stops at the limit and keeps the error.
type layerStream struct {
	r     io.Reader
	sum   hash.Hash
	left  int64
	watch *watchdog
	err   error
}

var errLayerSize = errors.New("the layer is over indexer.max_layer_size")

func (s *layerStream) Read(p []byte) (int, error) {
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.r.Read(p)
	s.watch.fed()
	s.sum.Write(p[:n])
	if s.left -= int64(n); s.left < 0 {
		s.err = errLayerSize
		return 0, s.err
	}
	if err != nil && err != io.EOF {
		s.err = fmt.Errorf("%w: %w", errTransfer, err)
		return n, s.err
	}
	return n, err
}

// failure returns the error with its kind. A layer that is too large is an
// ErrInvalid, because another attempt cannot succeed.
func (s *layerStream) failure(ctx context.Context) error {
	if errors.Is(s.err, errLayerSize) {
		return fmt.Errorf("%w: %w", clair.ErrInvalid, s.err)
	}
	return unavailable(ctx, s.err)
}

// watchdog cancels a transfer in which nothing arrives.
type watchdog struct {
	after time.Duration
	timer *time.Timer
}

func newWatchdog(after time.Duration, cancel context.CancelCauseFunc) *watchdog {
	err := fmt.Errorf("the server has sent nothing for %v", after)
	return &watchdog{after, time.AfterFunc(after, func() { cancel(err) })}
}

func (w *watchdog) fed()  { w.timer.Reset(w.after) }
func (w *watchdog) stop() { w.timer.Stop() }
