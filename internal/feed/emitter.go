package feed

import (
	"encoding/json"
	"errors"
	"iter"
	"time"

	"oriel/clair"
)

// ErrStopped is returned by emitters once their consumer has stopped ranging;
// a parser returns it.
var ErrStopped = errors.New("stopped")

// emitter passes values from within a parser to the consumer that ranges over
// them.
type emitter[T any] struct {
	yield func(T, error) bool
}

func (e emitter[T]) emit(v T) error {
	if !e.yield(v, nil) {
		return ErrStopped
	}
	return nil
}

// Skip reports a record that cannot be used.
func (e emitter[T]) Skip(record string, err error) error {
	var none T
	if !e.yield(none, &clair.RecordError{Record: record, Err: err}) {
		return ErrStopped
	}
	return nil
}

func emitting[T any](parse func(emitter[T]) error) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		if err := parse(emitter[T]{yield}); err != nil && !errors.Is(err, ErrStopped) {
			var none T
			yield(none, err)
		}
	}
}

// Rows is a stream of vulnerabilities and of errors about unusable records,
// which are *clair.RecordError.
type Rows = iter.Seq2[*clair.Vulnerability, error]

// Emitter passes vulnerabilities from a parser to its consumer.
type Emitter struct {
	emitter[*clair.Vulnerability]
}

// Emit returns the stream of a parser that is written as a plain function.
func Emit(parse func(Emitter) error) Rows {
	return emitting(func(e emitter[*clair.Vulnerability]) error { return parse(Emitter{e}) })
}

// Row passes a vulnerability on. One without a name or a package is counted as
// skipped.
func (e Emitter) Row(v *clair.Vulnerability) error {
	if v.Name == "" || v.Package.Name == "" {
		return e.Skip(v.Name+v.Package.Name, Malformed("a row without an advisory or without a package"))
	}
	return e.emit(v)
}

// Records is a stream of enrichment records and of errors about unusable ones.
type Records = iter.Seq2[clair.EnrichmentRecord, error]

// RecordEmitter passes enrichment records from a parser to its consumer.
type RecordEmitter struct {
	emitter[clair.EnrichmentRecord]
}

// EmitRecords returns the stream of a parser that is written as a plain
// function.
func EmitRecords(parse func(RecordEmitter) error) Records {
	return emitting(func(e emitter[clair.EnrichmentRecord]) error { return parse(RecordEmitter{e}) })
}

// NewRecordEmitter returns an emitter that calls yield.
func NewRecordEmitter(yield func(clair.EnrichmentRecord, error) bool) RecordEmitter {
	return RecordEmitter{emitter[clair.EnrichmentRecord]{yield}}
}

// Record passes on the record of a tag.
func (e RecordEmitter) Record(tag string, data json.RawMessage) error {
	return e.emit(clair.EnrichmentRecord{Tags: []string{tag}, Enrichment: data})
}

// DatedRecord passes on the record of a tag and the date of its publication.
func (e RecordEmitter) DatedRecord(tag string, data json.RawMessage, issued time.Time) error {
	return e.emit(clair.EnrichmentRecord{Tags: []string{tag}, Enrichment: data, Issued: issued})
}
