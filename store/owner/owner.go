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

// Owner is what the process that owns a database tells those of this machine
// that may read the file beside it.
type Owner struct {
	PID int `json:"pid"`
	// URL is where the process answers.
	URL string `json:"url"`
	// Token is what to send to be let in as its administrator, "" where
	// nobody is asked for one.
	Token string `json:"token,omitempty"`
	// Certificate is the file, as PEM, with the certificate that the process
	// shows, whatever names are in it; "" where it speaks no TLS.
	Certificate string `json:"certificate,omitempty"`
}

// File is readable for the user who may write the database, and nobody
// else.
func File(path string) string { return path + ".owner" }

// ReadOwner reads what the owner of a database announced. It is an ErrNotFound
// where there is nothing. Whoever asks knows that there is an owner, because
// Open said so.
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

// writeNew makes a file that there was none of.
func writeNew(name string, text []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Close())
}

// Write writes who owns the database at path, in place of what an earlier
// owner may have left.
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
