package openapi

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"html/template"
	"maps"
	"slices"
	"strings"
)

// description holds the parts of the document that the page shows.
type description struct {
	Info       struct{ Title, Version, Summary, Description string }
	Tags       []struct{ Name, Description string }
	Paths      map[string]map[string]json.RawMessage
	Components struct {
		Parameters map[string]parameter
		Responses  map[string]response
		Schemas    map[string]json.RawMessage
	}
}

type parameter struct {
	Ref                   string `json:"$ref"`
	Name, In, Description string
	Required              bool
}

type response struct {
	Ref         string `json:"$ref"`
	Description string
	Content     map[string]struct {
		Schema struct {
			Ref string `json:"$ref"`
		}
	}
}

// operation is one method of one path.
type operation struct {
	Method, Path         string
	Role                 string `json:"x-role"`
	Tags                 []string
	Summary, Description string
	Parameters           []parameter
	RequestBody          response
	Responses            map[string]response
}

// Body returns the media types of an operation's request body, sorted.
func (o operation) Body() []string { return slices.Sorted(maps.Keys(o.RequestBody.Content)) }

// Statuses returns the statuses of an operation's responses, sorted.
func (o operation) Statuses() []string { return slices.Sorted(maps.Keys(o.Responses)) }

// refName returns the last part of a reference.
func refName(ref string) string { return ref[strings.LastIndexByte(ref, '/')+1:] }

// operations returns the operations of a description, sorted by path and
// method, with their references resolved.
func (d *description) operations() ([]operation, error) {
	var all []operation
	for path, item := range d.Paths {
		var shared []parameter
		if text, ok := item["parameters"]; ok {
			if err := json.Unmarshal(text, &shared); err != nil {
				return nil, fmt.Errorf("%s: %w", path, err)
			}
		}
		for method, text := range item {
			if method == "parameters" || method == "$ref" {
				continue // the second name of a path is not shown
			}
			o := operation{Method: strings.ToUpper(method), Path: path}
			if err := json.Unmarshal(text, &o); err != nil {
				return nil, fmt.Errorf("%s %s: %w", method, path, err)
			}
			o.Parameters = append(slices.Clone(shared), o.Parameters...)
			for i, p := range o.Parameters {
				if p.Ref != "" {
					o.Parameters[i] = d.Components.Parameters[refName(p.Ref)]
				}
			}
			for status, r := range o.Responses {
				if r.Ref != "" {
					o.Responses[status] = d.Components.Responses[refName(r.Ref)]
				}
			}
			all = append(all, o)
		}
	}
	slices.SortFunc(all, func(a, b operation) int {
		return cmp.Or(strings.Compare(a.Path, b.Path), strings.Compare(a.Method, b.Method))
	})
	return all, nil
}

// section is a part of the page: the operations with a tag.
type section struct {
	Name, Description string
	Operations        []operation
}

// schema is a schema with its indented JSON.
type schema struct{ Name, Text string }

// describe renders a description as an HTML page.
func describe(text []byte) ([]byte, error) {
	var d description
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, err
	}
	operations, err := d.operations()
	if err != nil {
		return nil, err
	}
	var sections []section
	for _, t := range d.Tags {
		s := section{Name: t.Name, Description: t.Description}
		for _, o := range operations {
			if slices.Contains(o.Tags, t.Name) {
				s.Operations = append(s.Operations, o)
			}
		}
		sections = append(sections, s)
	}
	var schemas []schema
	for _, n := range slices.Sorted(maps.Keys(d.Components.Schemas)) {
		var b bytes.Buffer
		if err := json.Indent(&b, d.Components.Schemas[n], "", "  "); err != nil {
			return nil, err
		}
		schemas = append(schemas, schema{n, b.String()})
	}
	page, err := template.New("openapi.html").Funcs(template.FuncMap{"refName": refName}).ParseFS(files, "openapi.html")
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = page.Execute(&b, map[string]any{"Info": d.Info, "Sections": sections, "Schemas": schemas})
	return b.Bytes(), err
}
