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

// Config limits a Client. Zero fields have their defaults.
type Config struct {
	// MaxSize is the largest body or file, in bytes. Default 2 GiB.
	MaxSize int64
	// Retries is how often a download is repeated after a temporary failure. 0
	// means the default of 4, a negative number never. A retry that makes
	// progress does not count.
	Retries int
	// RetryMin and RetryMax are the first and the longest pause before a
	// retry. Each is varied at random by half. Defaults 1 s and 1 min.
	RetryMin, RetryMax time.Duration
	// MaxWait is the longest pause that a server may ask for with
	// Retry-After; a longer one ends the download. Default 5 min.
	MaxWait time.Duration
	// Connect limits the time to connect, and Stall the time without a byte.
	// Defaults 30 s and 1 min.
	Connect, Stall time.Duration
	// TempDir is the folder for bodies while they are read. Default: the
	// system's folder for temporary files.
	TempDir string
	// UserAgent is the User-Agent header, such as "oriel/1.0". Default "oriel".
	UserAgent string
	// Transport sends the requests. Default: one that uses the proxy variables
	// of the environment.
	Transport http.RoundTripper
}

// withDefaults replaces zero fields.
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

// New returns a client. It starts nothing.
func New(cfg Config) *Client {
	cfg = cfg.withDefaults()
	if cfg.Transport == nil {
		dialer := &net.Dialer{Timeout: cfg.Connect}
		cfg.Transport = &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: dialer.DialContext, ForceAttemptHTTP2: true,
			TLSHandshakeTimeout: cfg.Connect, ResponseHeaderTimeout: cfg.Stall, IdleConnTimeout: time.Minute,
			MaxIdleConnsPerHost: 1, MaxResponseHeaderBytes: 1 << 20,
			// Sizes, ranges and checksums have to be those of the file itself.
			DisableCompression: true,
		}
	}
	return &Client{cfg: cfg, http: &http.Client{Transport: cfg.Transport, CheckRedirect: checkRedirect}}
}

// CloseIdleConnections closes the idle connections.
func (c *Client) CloseIdleConnections() { c.http.CloseIdleConnections() }

// maxRedirects is the least that browsers and Go's own client allow.
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

// Request describes a file to fetch.
type Request struct {
	// URL is an https, http or file: URL or a path.
	URL string
	// Last is the fingerprint that the content had last time, or "".
	Last clair.Fingerprint
	// MaxSize lowers or raises the client's limit, in bytes. 0: the client's.
	MaxSize int64
	// Header is added to an HTTP request. If it has an Accept-Encoding, the
	// file is exactly what the server sent, for Decompress to read.
	Header http.Header
	// ErrorTrailer names a trailer in which the server reports that it could
	// not finish the body. Such a body is treated like one that ends early.
	ErrorTrailer string
}

// Get fetches a file and returns it with its fingerprint. The error is
// ErrUnchanged if the content still has the fingerprint of the request,
// ErrTooLarge if it exceeds the limit, ErrNotFound if it does not exist, and
// ErrUnavailable if the server may answer later. The caller closes the file. A
// local file or directory is opened in place.
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

// WithProgress returns a context whose downloads report their progress; total
// is -1 if it is not known. As with the traces of net/http, the context
// carries the function because the observer does not make the request itself.
// The function is called from the downloading goroutine.
func WithProgress(ctx context.Context, report func(done, total int64)) context.Context {
	return context.WithValue(ctx, progressKey{}, report)
}

func progressOf(ctx context.Context) func(done, total int64) {
	if f, ok := ctx.Value(progressKey{}).(func(done, total int64)); ok {
		return f
	}
	return func(int64, int64) {}
}
