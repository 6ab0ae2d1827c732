package clair

import (
	"errors"
	"fmt"
)

// The kinds of failure that callers tell apart. Everything below wraps one of
// them with %w where it applies; the HTTP edge alone maps them to statuses.
var (
	// ErrNotFound says that the named thing does not exist.
	ErrNotFound = errors.New("not found")
	// ErrInvalid says that the caller's input is at fault.
	ErrInvalid = errors.New("invalid")
	// ErrConflict says that the request is fine but clashes with what is
	// going on, such as a second import of one updater.
	ErrConflict = errors.New("conflict")
	// ErrUnchanged says that a feed has nothing newer than the fingerprint
	// it was asked with.
	ErrUnchanged = errors.New("unchanged")
	// ErrUnavailable says that the work cannot be done now and may be later.
	ErrUnavailable = errors.New("unavailable")
	// ErrBase says that changes cannot be applied, because what they are
	// relative to is no longer there or is not what they say it is. Whoever
	// can get the whole in their place does.
	ErrBase = errors.New("no base for the changes")
	// ErrTooLarge says that an input is over its limit.
	ErrTooLarge = errors.New("too large")
)

// InvalidError is an ErrInvalid that names the offending field.
type InvalidError struct {
	// Field is the path of the field in the document, such as
	// "packages.3.version".
	Field string
	// Reason says in words what is wrong with it.
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
// it in place of the record and goes on with the next one; whoever consumes
// the feed counts it. Any other error that a parser yields ends the feed.
type RecordError struct {
	// Record names the record: its id, or its place in the feed.
	Record string
	// Err says why it could not be used.
	Err error
}

// Error names the record, then the reason.
func (e *RecordError) Error() string { return "record " + e.Record + ": " + e.Err.Error() }

// Unwrap gives the reason.
func (e *RecordError) Unwrap() error { return e.Err }
