package index

import (
	"errors"
	"slices"
	"strings"
	"time"

	"oriel/clair"
	"oriel/internal/quantity"
)

// Config is the [indexer] table.
type Config struct {
	// LayerSchemes are the schemes that addresses of layers may have, of
	// https, http and file.
	LayerSchemes []string `toml:"layer_schemes"`
	// AllowPrivate allows layers from loopback, link-local and private
	// addresses. A manifest is foreign, and could make the server send
	// requests to its own network.
	AllowPrivate bool `toml:"allow_private"`
	// MaxLayerSize is the largest layer, as it is transferred.
	MaxLayerSize quantity.Bytes `toml:"max_layer_size"`
	// Concurrency is the number of manifests that are indexed at once.
	Concurrency int `toml:"concurrency"`
	// Queue is the number of further manifests that wait for their turn, and
	// MaxWait the longest time that one waits, before they are refused. Clair's
	// clients do not retry.
	Queue   int               `toml:"queue"`
	MaxWait quantity.Duration `toml:"max_wait"`
	// Timeout bounds the indexing of one manifest. Quay waits ten minutes.
	Timeout quantity.Duration `toml:"timeout"`
}

// Default is the configuration of an empty table.
func Default() Config {
	return Config{
		LayerSchemes: []string{"https", "http"},
		MaxLayerSize: 2 << 30,
		Concurrency:  2,
		Queue:        64,
		MaxWait:      quantity.Duration(2 * time.Minute),
		Timeout:      quantity.Duration(10 * time.Minute),
	}
}

// maxQueue bounds the connections that may wait.
const maxQueue = 1 << 16

// Validate names the keys whose values are impossible; the error is an
// ErrInvalid.
func (c Config) Validate() error {
	var errs []error
	for _, s := range c.LayerSchemes {
		if !slices.Contains([]string{"https", "http", "file"}, strings.ToLower(s)) {
			errs = append(errs, clair.Invalid("indexer.layer_schemes", "%q is not one of https, http and file", s))
		}
	}
	if c.MaxLayerSize < 1 {
		errs = append(errs, clair.Invalid("indexer.max_layer_size", "must be at least 1B"))
	}
	if c.Concurrency < 1 {
		errs = append(errs, clair.Invalid("indexer.concurrency", "%d: must be at least 1", c.Concurrency))
	}
	if c.Queue < 0 || c.Queue > maxQueue {
		errs = append(errs, clair.Invalid("indexer.queue", "%d: must be from 0 to %d", c.Queue, maxQueue))
	}
	if c.MaxWait < 0 {
		errs = append(errs, clair.Invalid("indexer.max_wait", "%v: must not be negative", c.MaxWait))
	}
	if c.Timeout < quantity.Duration(time.Second) {
		errs = append(errs, clair.Invalid("indexer.timeout", "%v: must be at least 1s", c.Timeout))
	}
	return errors.Join(errs...)
}
