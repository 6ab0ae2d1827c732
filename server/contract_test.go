package server_test

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

// contract checks requests and responses against the API's description. It is
// applied to every request made with world.do.
type contract struct {
	paths   map[string]map[string]any // by path, with references to paths resolved
	doc     map[string]any
	schemas *jsonschema.Compiler

	mu       sync.Mutex
	compiled map[string]*jsonschema.Schema // by their text
	made     int
}

var theContract = sync.OnceValue(func() *contract {
	f, err := os.Open("openapi/openapi.json")
	if err != nil {
		panic(err)
	}
	defer f.Close()
	doc, err := jsonschema.UnmarshalJSON(f)
	if err != nil {
		panic(err)
	}
	c := &contract{paths: map[string]map[string]any{}, doc: doc.(map[string]any), schemas: jsonschema.NewCompiler(), compiled: map[string]*jsonschema.Schema{}}
	c.schemas.DefaultDraft(jsonschema.Draft2020) // as in OpenAPI 3.1
	c.schemas.AssertFormat()
	if err := c.schemas.AddResource(home, doc); err != nil {
		panic(err)
	}
	for path, item := range c.doc["paths"].(map[string]any) {
		c.paths[path] = c.resolve(item)
	}
	return c
})

// resolve follows a reference within the document, if it is one.
func (c *contract) resolve(v any) map[string]any {
	m, _ := v.(map[string]any)
	ref, ok := m["$ref"].(string)
	if !ok {
		return m
	}
	var at any = c.doc
	for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		at = at.(map[string]any)[strings.NewReplacer("~1", "/", "~0", "~").Replace(part)]
	}
	return c.resolve(at)
}

// find returns the operation of a request; op is nil if there is none.
func (c *contract) find(method, path string) (template string, item, op map[string]any) {
	if item, ok := c.paths[path]; ok {
		op, _ := item[strings.ToLower(method)].(map[string]any)
		return path, item, op
	}
	byLength := slices.SortedFunc(mapKeys(c.paths), func(a, b string) int { return literals(b) - literals(a) })
	for _, t := range byLength {
		// The last segment is the parameter; those before it are ignored.
		at := regexp.MustCompile(`\\\{[^/]*\\\}`).ReplaceAllString(regexp.QuoteMeta(t), ".*")
		if strings.Contains(t, "{") && regexp.MustCompile("^"+at+"$").MatchString(path) {
			op, _ := c.paths[t][strings.ToLower(method)].(map[string]any)
			return t, c.paths[t], op
		}
	}
	return "", nil, nil
}

// literals counts the segments of a template that are not parameters. The
// template with the most is the best match.
func literals(template string) int {
	return len(regexp.MustCompile(`\{[^/]*\}`).ReplaceAllString(template, ""))
}

func mapKeys[V any](m map[string]V) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// check checks a request and its response against the document. It returns the
// operation's id, "" if there is no operation.
func (c *contract) check(method, target, contentType, sent string, a answer) (string, error) {
	u, err := url.Parse(target)
	if err != nil {
		return "", err
	}
	template, item, op := c.find(method, u.Path)
	if op == nil {
		if want := map[bool]int{true: 404, false: 405}[template == ""]; a.StatusCode != want && a.StatusCode != 401 && a.StatusCode != 403 && a.StatusCode != 415 {
			return "", fmt.Errorf("%d where the document has no operation, and not %d", a.StatusCode, want)
		}
		return "", nil
	}
	id := op["operationId"].(string)
	if err := c.checkQuery(item, op, u.Query()); err != nil && a.StatusCode < 300 {
		return id, err
	}
	if body, ok := op["requestBody"]; ok && a.StatusCode < 300 && sent != "" {
		if err := c.checkBody(c.resolve(body), contentType, sent, true); err != nil {
			return id, fmt.Errorf("request: %w", err)
		}
	}
	responses := op["responses"].(map[string]any)
	res, ok := responses[strconv.Itoa(a.StatusCode)]
	if !ok {
		if a.StatusCode < 400 {
			return id, fmt.Errorf("status %d is not described", a.StatusCode)
		}
		res = responses["default"]
	}
	text, err := decoded(a)
	if err != nil {
		return id, err
	}
	described := c.resolve(res)
	if described["content"] == nil || text == "" && (a.StatusCode == 415 || described["x-may-be-empty"] == true) {
		if text != "" {
			return id, fmt.Errorf("status %d has a body, which is not described: %.100s", a.StatusCode, text)
		}
		return id, nil
	}
	if err := c.checkBody(described, a.Header.Get("Content-Type"), text, false); err != nil {
		return id, fmt.Errorf("status %d: %w", a.StatusCode, err)
	}
	return id, c.checkHeaders(described, a.Header)
}

func (c *contract) checkQuery(item, op map[string]any, query url.Values) error {
	var known []string
	for _, list := range []any{item["parameters"], op["parameters"]} {
		ps, _ := list.([]any)
		for _, p := range ps {
			p := c.resolve(p)
			if p["in"] == "query" {
				known = append(known, p["name"].(string))
			}
		}
	}
	for k := range query {
		if !slices.Contains(known, k) {
			return fmt.Errorf("the query's %s is not described", k)
		}
	}
	return nil
}

// checkBody checks a body against the schema of its media type. A request of
// an unknown type is JSON.
func (c *contract) checkBody(described map[string]any, contentType, text string, request bool) error {
	content := described["content"].(map[string]any)
	media, _, _ := mime.ParseMediaType(contentType)
	kind, ok := content[media].(map[string]any)
	if !ok && request {
		media = "application/json"
		kind, ok = content[media].(map[string]any)
	}
	if !ok {
		return fmt.Errorf("the media type %q is not described", contentType)
	}
	var v any = text
	if strings.HasSuffix(media, "/json") || strings.HasSuffix(media, "+json") {
		var err error
		if v, err = jsonschema.UnmarshalJSON(strings.NewReader(text)); err != nil {
			return err
		}
	}
	return c.validate(kind["schema"], v)
}

func (c *contract) checkHeaders(described map[string]any, got http.Header) error {
	headers, _ := described["headers"].(map[string]any)
	for name, h := range headers {
		text := got.Get(name)
		if text == "" {
			continue
		}
		var v any = text
		schema := c.resolve(h)["schema"]
		if schema.(map[string]any)["type"] == "integer" {
			v = json.Number(text)
		}
		if err := c.validate(schema, v); err != nil {
			return fmt.Errorf("header %s: %w", name, err)
		}
	}
	return nil
}

// home is the URL of the document, for the references of schemas.
const home = "http://oriel.test/openapi.json"

// validate checks a value against a schema of the document.
func (c *contract) validate(schema, v any) error {
	text, err := json.Marshal(schema)
	if err != nil {
		return err
	}
	c.mu.Lock()
	compiled, ok := c.compiled[string(text)]
	if !ok {
		if compiled, err = c.compile(string(text)); err == nil {
			c.compiled[string(text)] = compiled
		}
	}
	c.mu.Unlock()
	if err != nil {
		return err
	}
	return compiled.Validate(v)
}

// compile compiles a schema whose references point into the document. The caller
// holds mu.
func (c *contract) compile(text string) (*jsonschema.Schema, error) {
	own, err := jsonschema.UnmarshalJSON(strings.NewReader(strings.ReplaceAll(text, `"$ref":"#/`, `"$ref":"`+home+`#/`)))
	if err != nil {
		return nil, err
	}
	c.made++
	at := fmt.Sprintf("http://oriel.test/schema/%d", c.made)
	if err := c.schemas.AddResource(at, own); err != nil {
		return nil, err
	}
	return c.schemas.Compile(at)
}

// decoded returns the body of an answer without its content coding.
func decoded(a answer) (string, error) {
	var r io.Reader = strings.NewReader(a.body)
	switch a.Header.Get("Content-Encoding") {
	case "gzip":
		z, err := gzip.NewReader(r)
		if err != nil {
			return "", err
		}
		r = z
	case "deflate":
		r = flate.NewReader(r)
	case "zstd":
		z, err := zstd.NewReader(r)
		if err != nil {
			return "", err
		}
		defer z.Close()
		r = z
	}
	b, err := io.ReadAll(r)
	return string(b), err
}

// held requires that an exchange conforms to the document, and returns the
// operation's id.
func held(t testing.TB, method, path, contentType, sent string, a answer) string {
	t.Helper()
	id, err := theContract().check(method, path, contentType, sent, a)
	require.NoError(t, err, "%s %s: the response does not conform to openapi/*.yaml", method, path)
	return id
}
