package bundle

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"

	"oriel/clair"
	"oriel/internal/quantity"
)

// Config is the [bundle] table of the configuration.
type Config struct {
	// PrivateKey is the file of the key that signs exported bundles, "" for
	// none: an Ed25519 key in PEM, PKCS#8, as openssl genpkey writes it.
	PrivateKey string `toml:"private_key"`
	// PublicKeys are the files of trusted keys, one of which must have signed
	// an imported bundle: Ed25519 keys in PEM, as openssl pkey -pubout writes
	// them. If there are none, bundles need no signature.
	PublicKeys []string `toml:"public_keys"`
	// MaxSize is the largest bundle that is imported, by its compressed size.
	MaxSize quantity.Bytes `toml:"max_size"`
}

// Default returns the default configuration.
func Default() Config { return Config{PublicKeys: []string{}, MaxSize: 4 << 30} }

// Validate returns an error that names the first impossible value. It does not
// read the files.
func (c Config) Validate() error {
	if c.MaxSize < 1 {
		return clair.Invalid("bundle.max_size", "must be at least 1B")
	}
	for i, name := range c.PublicKeys {
		if name == "" {
			return clair.Invalid(fmt.Sprintf("bundle.public_keys[%d]", i), "must name a file")
		}
	}
	return nil
}

// SigningKey reads the private key. It returns nil if none is configured.
func (c Config) SigningKey() (ed25519.PrivateKey, error) {
	if c.PrivateKey == "" {
		return nil, nil
	}
	return readKey(c.PrivateKey, "PRIVATE KEY", func(der []byte) (ed25519.PrivateKey, error) {
		key, err := x509.ParsePKCS8PrivateKey(der)
		if err != nil {
			return nil, err
		}
		ed, ok := key.(ed25519.PrivateKey)
		if !ok {
			return nil, fmt.Errorf("it is a %T, not an Ed25519 key", key)
		}
		return ed, nil
	})
}

// TrustedKeys reads the public keys.
func (c Config) TrustedKeys() ([]ed25519.PublicKey, error) {
	var keys []ed25519.PublicKey
	for _, name := range c.PublicKeys {
		key, err := ReadPublicKey(name)
		if err != nil {
			return nil, err
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// ReadPublicKey reads the file of a public key.
func ReadPublicKey(name string) (ed25519.PublicKey, error) {
	return readKey(name, "PUBLIC KEY", func(der []byte) (ed25519.PublicKey, error) {
		key, err := x509.ParsePKIXPublicKey(der)
		if err != nil {
			return nil, err
		}
		ed, ok := key.(ed25519.PublicKey)
		if !ok {
			return nil, fmt.Errorf("it is a %T, not an Ed25519 key", key)
		}
		return ed, nil
	})
}

// maxKey limits the size of a key's file.
const maxKey = 64 << 10

// readKey reads the first PEM block of a file, which must be of the type.
func readKey[K any](name, typ string, parse func(der []byte) (K, error)) (key K, err error) {
	f, err := os.Open(name)
	if err != nil {
		return key, fmt.Errorf("read a key: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKey))
	if err != nil {
		return key, fmt.Errorf("read a key: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != typ {
		return key, fmt.Errorf("read the key %s: %w", name, invalid("it has no PEM block of type %q", typ))
	}
	if key, err = parse(block.Bytes); err != nil {
		return key, fmt.Errorf("read the key %s: %w: %w", name, clair.ErrInvalid, err)
	}
	return key, nil
}
