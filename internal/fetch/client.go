package fetch

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"oriel/clair"
)

// Config bounds what a Client does. Zero fields take their defaults.
type Config struct {
	// MaxSize is the largest body or file, in bytes. Default 2 GiB.
	MaxSize int64
	// Retries is how often a download goes on after a failure that may pass,
	// 0 being the default of 4 and a negative number meaning never. A retry
	// that brings the download forward does not count.
	Retries int
	// RetryMin and RetryMax are the first and the longest pause before a
	// retry. Each is varied at random by half. Defaults 1 s and 1 min.
	RetryMin, RetryMax time.Duration
	// MaxWait is the longest pause that a server may ask for with
	// Retry-After; a longer one ends the download. Default 5 min.
	MaxWait time.Duration
	// Connect bounds connecting, and Stall the time without a byte after
	// which a connection is given up. Defaults 30 s and 1 min.
	Connect, Stall time.Duration
	// TempDir is where bodies are kept while they are read. Default: the
	// system's place for temporary files.
	TempDir string
	// UserAgent is sent along, such as "oriel/1.0". Default "oriel".
	UserAgent string
	// Transport carries the requests. Default: one that obeys the proxy
	// variables of the environment.
	Transport http.RoundTripper
}

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&c.RetryMin, time.Second)
	set(&c.RetryMax, time.Minute)
	set(&c.MaxWait, 5*time.Minute)
	set(&c.Connect, 30*time.Second)
	set(&c.Stall, time.Minute)
	if c.MaxSize <= 0 {
		c.MaxSize = 2 << 30
	}
	if c.Retries == 0 {
		c.Retries = 4
	}
	if c.TempDir == "" {
		c.TempDir = os.TempDir()
	}
	if c.UserAgent == "" {
		c.UserAgent = "oriel"
	}
	return c
}

// Client downloads. Its methods may be called from many goroutines.
type Client struct {
	cfg  Config
	http *http.Client
}

// New makes a client. It starts nothing.
func New(cfg Config) *Client {
	cfg = cfg.withDefaults()
	if cfg.Transport == nil {
		dialer := &net.Dialer{Timeout: cfg.Connect}
		cfg.Transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: cfg.Connect, ResponseHeaderTimeout: cfg.Stall, IdleConnTimeout: time.Minute,
			MaxIdleConnsPerHost: 1, MaxResponseHeaderBytes: 1 << 20,
			// Sizes, ranges and checksums are those of the file itself.
			DisableCompression: true,
		}
	}
	return &Client{cfg: cfg, http: &http.Client{Transport: cfg.Transport, CheckRedirect: checkRedirect}}
}

// CloseIdleConnections ends the connections that wait for another request.
func (c *Client) CloseIdleConnections() { c.http.CloseIdleConnections() }

// maxRedirects is what browsers and Go's own client allow at least.
const maxRedirects = 10

var (
	errRedirects = fmt.Errorf("%w: more than %d redirects", clair.ErrInvalid, maxRedirects)
	errDowngrade = fmt.Errorf("%w: redirected from https to plain http", clair.ErrInvalid)
	errScheme    = fmt.Errorf("%w: redirected to something that is not http or https", clair.ErrInvalid)
)

func checkRedirect(req *http.Request, via []*http.Request) error {
	switch {
	case len(via) >= maxRedirects:
		return errRedirects
	case req.URL.Scheme != "https" && req.URL.Scheme != "http":
		return errScheme
	case req.URL.Scheme == "http" && via[len(via)-1].URL.Scheme == "https":
		return errDowngrade
	}
	return nil
}

// Request says what to get.
type Request struct {
	// URL is an https, http or file: URL or a path.
	URL string
	// Last is the fingerprint that the content had last time, or "".
	Last clair.Fingerprint
	// MaxSize lowers or raises the client's limit, in bytes. 0: the client's.
	MaxSize int64
	// Header goes along with an HTTP request. An Accept-Encoding in it stands:
	// then the file is what the server sent, for Decompress to read.
	Header http.Header
	// ErrorTrailer names a trailer by which the server says that it could not
	// finish the body. A body with it is like one that ends early.
	ErrorTrailer string
}

// Get fetches what the request names and returns it with its fingerprint. It
// returns ErrUnchanged where the content still has the fingerprint given,
// ErrTooLarge where it is over the limit, ErrNotFound where there is none, and
// ErrUnavailable where the server may answer later. The caller closes the
// file. A local file or directory is opened in place.
func (c *Client) Get(ctx context.Context, r Request) (*File, clair.Fingerprint, error) {
	if r.MaxSize <= 0 {
		r.MaxSize = c.cfg.MaxSize
	}
	f, fp, err := c.get(ctx, r)
	if err != nil {
		if errors.Is(err, clair.ErrUnchanged) {
			return nil, "", err
		}
		return nil, "", fmt.Errorf("fetch %s: %w", Mask(r.URL), err)
	}
	return f, fp, nil
}

func (c *Client) get(ctx context.Context, r Request) (*File, clair.Fingerprint, error) {
	last := parseFingerprint(r.Last)
	path, local, err := Local(r.URL)
	if err != nil {
		return nil, "", err
	}
	if local {
		return openLocal(ctx, path, last, r.MaxSize)
	}
	return c.download(ctx, r, last)
}

// progressKey is the key of WithProgress.
type progressKey struct{}

// WithProgress returns a context whose downloads report how many of how many
// bytes they have; total is -1 where it is not known. As with the traces of
// net/http, a context carries the function because whoever watches does not
// make the request itself. It is called from the downloading goroutine.
func WithProgress(ctx context.Context, report func(done, total int64)) context.Context {
	return context.WithValue(ctx, progressKey{}, report)
}

func progressOf(ctx context.Context) func(done, total int64) {
	if f, ok := ctx.Value(progressKey{}).(func(done, total int64)); ok {
		return f
	}
	return func(int64, int64) {}
}
