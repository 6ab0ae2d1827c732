package owner

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"oriel/clair"
	"oriel/store/sqlitedb"
)

// Owner describes the process that owns a database, for processes of this
// machine that may read the file next to it.
type Owner struct {
	PID int `json:"pid"`
	// URL is the address of the process.
	URL string `json:"url"`
	// Token is the administrator's token to send, "" if none is required.
	Token string `json:"token,omitempty"`
	// Certificate is the PEM file of the certificate that the process uses,
	// whatever names are in it; "" without TLS.
	Certificate string `json:"certificate,omitempty"`
}

// File is readable only for the user who may write the database.
func File(path string) string { return path + ".owner" }

// ReadOwner reads the owner file of a database. If there is none, the error is
// an ErrNotFound. The caller knows that there is an owner, because Open
// reported it.
func Read(path string) (Owner, error) {
	var o Owner
	text, err := os.ReadFile(File(path))
	if errors.Is(err, fs.ErrNotExist) {
		return o, fmt.Errorf("read who owns the database: %w", clair.ErrNotFound)
	}
	if err == nil {
		err = json.Unmarshal(text, &o)
	}
	if err != nil {
		return o, fmt.Errorf("read who owns the database: %w", err)
	}
	return o, nil
}

// writeNew creates a file that does not exist.
func writeNew(name string, text []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

// Write writes the owner file of the database at path, replacing that of an
// earlier owner.
func Write(path string, o Owner) error {
	text, err := json.Marshal(o)
	if err != nil {
		return err
	}
	name := File(path)
	err = sqlitedb.RemoveIfExists(name)
	if err == nil {
		err = writeNew(name, text)
	}
	if err != nil {
		return fmt.Errorf("write the owner of the database: %w", err)
	}
	return nil
}
