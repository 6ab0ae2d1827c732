package app

import (
	"bytes"
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"oriel/clair"
	"oriel/enrich"
	"oriel/index"
	"oriel/internal/bundle"
	"oriel/internal/feed"
	"oriel/internal/quantity"
	"oriel/notify"
	"oriel/server"
	"oriel/store"
	"oriel/updater"
	"oriel/window"
)

// Config is the whole configuration, composed of each room's own.
type Config struct {
	// Listen is the address to serve on. Port 0 picks a free one.
	Listen  string            `toml:"listen"`
	Store   store.Config      `toml:"store"`
	Memory  MemoryConfig      `toml:"memory"`
	Updater updater.Config    `toml:"updater"`
	Indexer index.Config      `toml:"indexer"`
	Matcher enrich.Config     `toml:"matcher"`
	Notify  notify.Config     `toml:"notify"`
	Window  window.Config     `toml:"window"`
	Bundle  bundle.Config     `toml:"bundle"`
	Tables  []map[string]any  `toml:"feed"`
	Auth    server.AuthConfig `toml:"auth"`
	TLS     server.TLSConfig  `toml:"tls"`
	Limits  server.Limits     `toml:"limits"`
	Log     LogConfig         `toml:"log"`

	// Feeds are the tables above, checked.
	Feeds []feed.Feed `toml:"-"`
	// Catalogue has these feeds and the built-in ones.
	Catalogue *updater.Catalogue `toml:"-"`
}

// MemoryConfig is the [memory] table.
type MemoryConfig struct {
	// Limit bounds the resident set of the whole process.
	Limit quantity.Bytes `toml:"limit"`
}

// LogConfig is the [log] table.
type LogConfig struct {
	Level  slog.Level `toml:"level"`
	Format string     `toml:"format"`
}

// defaultConfig is the configuration of an empty file.
func defaultConfig() Config {
	return Config{
		Listen:  "127.0.0.1:6060",
		Store:   store.Default(),
		Memory:  MemoryConfig{Limit: 128 << 20},
		Updater: updater.Default(),
		Indexer: index.Default(),
		Matcher: enrich.Default(),
		Notify:  notify.Default(),
		Window:  window.Default(),
		Bundle:  bundle.Default(),
		Auth:    server.DefaultAuth(),
		Limits:  server.DefaultLimits(),
		Log:     LogConfig{Level: slog.LevelInfo, Format: "text"},
	}
}

// defaultFile is read where no file is named, if it is there.
const defaultFile = "oriel.toml"

// Load reads a file, then the environment, and validates the whole. Without a
// name it reads oriel.toml if it exists, or else the built-in example with its
// feeds. Errors name the key.
func Load(name string, environ []string, assets Assets) (*Config, error) {
	text, err := os.ReadFile(cmp.Or(name, defaultFile))
	base := filepath.Dir(cmp.Or(name, defaultFile))
	if errors.Is(err, fs.ErrNotExist) && name == "" {
		text, err = []byte(assets.ExampleConfig), nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	c, err := parseConfig(text, base, environ)
	if err != nil {
		return nil, fmt.Errorf("configuration %s: %w", cmp.Or(name, defaultFile), err)
	}
	builtIn, err := parseConfig([]byte(assets.ExampleConfig), base, nil)
	if err != nil {
		return nil, fmt.Errorf("built-in configuration: %w", err)
	}
	c.Catalogue = updater.NewCatalogue(formats(), c.Feeds, builtIn.Feeds)
	return c, nil
}

func parseConfig(text []byte, base string, environ []string) (*Config, error) {
	c := defaultConfig()
	if err := toml.NewDecoder(bytes.NewReader(text)).DisallowUnknownFields().Decode(&c); err != nil {
		return nil, tomlError(err)
	}
	if err := setFromEnvironment(&c, environ); err != nil {
		return nil, err
	}
	var errs []error
	var err error
	c.Feeds, err = formats().ParseFeeds(c.Tables, base)
	c.Auth.Resolve(base)
	c.TLS.Resolve(base)
	errs = append(errs, err, c.Store.Validate(), c.Updater.Validate(), c.Indexer.Validate(), c.Matcher.Validate(), c.Notify.Validate(),
		c.Window.Validate(), c.Bundle.Validate(), c.Auth.Validate(), c.TLS.Validate(), c.Limits.Validate(), c.validate())
	return &c, errors.Join(errs...)
}

// minMemory is enough for an import and a few reports.
const minMemory = 64 << 20

// windowShare is the part of the memory that the window may have: its contents
// need half as much again while garbage waits to be collected, and the
// connections of its readers need memory, too.
const windowShare = 4

func (c *Config) validate() error {
	var errs []error
	if host, port, err := net.SplitHostPort(c.Listen); err != nil {
		errs = append(errs, clair.Invalid("listen", "%q is not HOST:PORT", c.Listen))
	} else if n, err := strconv.Atoi(port); err != nil || n < 0 || n > 65535 {
		errs = append(errs, clair.Invalid("listen", "%q is not a port", port))
	} else if !isLoopback(host) && !c.Auth.Enabled() && !c.Auth.Insecure {
		errs = append(errs, clair.Invalid("listen", "%q is not a loopback address, and whoever reaches it could delete everything: "+
			"set auth.psk, auth.psk_file or an [[auth.token]], or auth.insecure = true if that is meant", host))
	}
	if c.Memory.Limit < minMemory {
		errs = append(errs, clair.Invalid("memory.limit", "%v: must be at least %v", c.Memory.Limit, quantity.Bytes(minMemory)))
	}
	if c.Window.Memory > c.Memory.Limit/windowShare {
		errs = append(errs, clair.Invalid("window.memory", "%v: must be at most a quarter of memory.limit, which is %v", c.Window.Memory, c.Memory.Limit))
	}
	if c.Log.Format != "text" && c.Log.Format != "json" {
		errs = append(errs, clair.Invalid("log.format", "%q is neither text nor json", c.Log.Format))
	}
	return errors.Join(errs...)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// tomlError returns a parser's error with the key's path and the line.
func tomlError(err error) error {
	if e, ok := errors.AsType[*toml.StrictMissingError](err); ok {
		var errs []error
		for i := range e.Errors {
			errs = append(errs, keyError(&e.Errors[i], "unknown key"))
		}
		return errors.Join(errs...)
	}
	if e, ok := errors.AsType[*toml.DecodeError](err); ok {
		return keyError(e, strings.TrimPrefix(e.Error(), "toml: "))
	}
	return fmt.Errorf("%w: %w", clair.ErrInvalid, err)
}

func keyError(e *toml.DecodeError, reason string) error {
	line, _ := e.Position()
	return clair.Invalid(cmp.Or(strings.Join(e.Key(), "."), "file"), "%s (line %d)", reason, line)
}

// envPrefix starts the name of every variable that sets a key.
const envPrefix = "ORIEL_"

// TokenVariable is the environment variable with the token that commands send.
// It is not a key of the configuration.
const TokenVariable = envPrefix + "TOKEN"

// OfflineVariable is the environment variable that, if true, prevents automatic
// downloads as updater.auto = false does. It is not a key of the configuration.
const OfflineVariable = envPrefix + "OFFLINE"

// setFromEnvironment sets scalars and lists from variables such as
// ORIEL_STORE_PATH. A variable that names no key is an error, as in the file.
func setFromEnvironment(c *Config, environ []string) error {
	fields := map[string]reflect.Value{}
	collectFields(reflect.ValueOf(c).Elem(), envPrefix, fields)
	offline := false
	fields[OfflineVariable] = reflect.ValueOf(&offline).Elem()
	var errs []error
	for _, e := range environ {
		name, text, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, envPrefix) || name == TokenVariable {
			continue
		}
		f, ok := fields[name]
		if !ok {
			errs = append(errs, clair.Invalid(name, "this variable names no key of the configuration"))
			continue
		}
		if err := setField(f, text); err != nil {
			errs = append(errs, clair.Invalid(name, "%v", err))
		}
	}
	if offline {
		c.Updater.Auto = false
	}
	return errors.Join(errs...)
}

// collectFields lists by variable the fields that a variable can set.
func collectFields(v reflect.Value, prefix string, into map[string]reflect.Value) {
	for i := range v.NumField() {
		tag := v.Type().Field(i).Tag.Get("toml")
		name := prefix + strings.ToUpper(tag)
		f := v.Field(i)
		_, isText := f.Addr().Interface().(encoding.TextUnmarshaler)
		switch {
		case tag == "-" || f.Kind() == reflect.Slice && f.Type().Elem().Kind() != reflect.String: // a table
		case f.Kind() == reflect.Struct && !isText:
			collectFields(f, name+"_", into)
		default:
			into[name] = f
		}
	}
}

func setField(f reflect.Value, text string) error {
	if u, ok := f.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	switch f.Kind() {
	case reflect.String:
		f.SetString(text)
	case reflect.Bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", text)
		}
		f.SetBool(b)
	case reflect.Int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		f.SetInt(int64(n))
	case reflect.Float64:
		n, err := strconv.ParseFloat(text, 64)
		if err != nil {
			return fmt.Errorf("%q is not a number", text)
		}
		f.SetFloat(n)
	case reflect.Slice:
		list := slices.DeleteFunc(strings.Split(text, ","), func(s string) bool { return s == "" })
		f.Set(reflect.ValueOf(list))
	default:
		return fmt.Errorf("a %s cannot be set by a variable", f.Kind())
	}
	return nil
}
