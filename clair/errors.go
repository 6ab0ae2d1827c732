package clair

import (
	"errors"
	"fmt"
)

// The kinds of failure that callers distinguish. Other packages wrap one of
// them with %w if it applies; only the HTTP server maps them to statuses.
var (
	// ErrNotFound means that the named thing does not exist.
	ErrNotFound = errors.New("not found")
	// ErrInvalid means that the caller's input is at fault.
	ErrInvalid = errors.New("invalid")
	// ErrConflict means that the request is valid but conflicts with work in
	// progress, such as a second import of one updater.
	ErrConflict = errors.New("conflict")
	// ErrUnchanged means that a feed has nothing newer than the given
	// fingerprint.
	ErrUnchanged = errors.New("unchanged")
	// ErrUnavailable means that the work cannot be done now, but may be later.
	ErrUnavailable = errors.New("unavailable")
	// ErrBase means that changes cannot be applied, because the state that
	// they are relative to no longer exists or differs. Callers that can fetch
	// the whole state instead do so.
	ErrBase = errors.New("no base for the changes")
	// ErrTooLarge means that an input exceeds its limit.
	ErrTooLarge = errors.New("too large")
)

// InvalidError is an ErrInvalid that names the offending field.
type InvalidError struct {
	// Field is the path of the field in the document, such as
	// "packages.3.version".
	Field string
	// Reason describes the problem.
	Reason string
}

// Invalid returns an *InvalidError for a field.
func Invalid(field, format string, args ...any) error {
	return &InvalidError{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// Error names the field, then the reason.
func (e *InvalidError) Error() string { return e.Field + ": " + e.Reason }

// Unwrap makes errors.Is(err, ErrInvalid) true.
func (e *InvalidError) Unwrap() error { return ErrInvalid }

// RecordError is one record of a feed that could not be used. A parser yields
// it in place of the record and continues with the next one; the consumer of
// the feed counts it. Any other error that a parser yields ends the feed.
type RecordError struct {
	// Record names the record: its id, or its place in the feed.
	Record string
	// Err is the reason.
	Err error
}

// Error names the record, then the reason.
func (e *RecordError) Error() string { return "record " + e.Record + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *RecordError) Unwrap() error { return e.Err }
