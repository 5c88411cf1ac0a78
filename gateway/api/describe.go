package api

import (
	"bytes"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

//go:embed docs.html
var docsPage string

// PagePolicy gives the Content-Security-Policy of a page that shows its own style
// element, loads nothing and runs nothing.
func PagePolicy(page string) string {
	return fmt.Sprintf("default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'", styleHash(page))
}

// describe serves the OpenAPI document, in 3.1 and 3.0.3, and the page for
// people. They are made once, of the operations that were registered, and need
// no token.
func (a *api) describe(mux *http.ServeMux) error {
	for _, unused := range []string{"ErrorModel", "ErrorDetail"} { // huma's own; our problems look otherwise
		delete(a.huma.OpenAPI().Components.Schemas.Map(), unused)
	}
	allowNulls(a.huma.OpenAPI().Components.Schemas.Map())
	document, err := json.Marshal(a.huma.OpenAPI())
	if err != nil {
		return fmt.Errorf("describe the API: %w", err)
	}
	older, err := olderDescription(a.huma.OpenAPI())
	if err != nil {
		return fmt.Errorf("describe the API for older readers: %w", err)
	}
	for path, text := range map[string][]byte{"/openapi.json": document, "/openapi-3.0.json": older} {
		mux.HandleFunc("GET "+Prefix+path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(text)
		})
	}
	page, err := docs(a.huma.OpenAPI())
	if err != nil {
		return fmt.Errorf("make the page of the API: %w", err)
	}
	policy := PagePolicy(docsPage)
	mux.HandleFunc("GET /api/docs", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Content-Security-Policy", policy)
		_, _ = w.Write(page)
	})
	return nil
}

// allowNulls says of the objects that may be missing from a shape that they may
// be null: huma says so of plain values only.
func allowNulls(schemas map[string]*huma.Schema) {
	for shape, names := range map[string][]string{
		"TicketShape": {"status", "contact", "company", "service_level"}, "ActivityShape": {"auth", "match", "hidden"},
		"QuarantinedShape": {"auth"}, "Auth": {"spf", "arc"}, "RuleActionsShape": {"extract"}, "BulkResult": {"error"},
	} {
		for _, name := range names {
			if s := schemas[shape]; s != nil && s.Properties[name] != nil {
				s.Properties[name] = &huma.Schema{OneOf: []*huma.Schema{s.Properties[name], {Type: "null"}}}
			}
		}
	}
}

// section is the operations of one tag, as the page shows them.
type section struct {
	Tag        *huma.Tag
	Operations []*huma.Operation
}

// docs renders the page.
func docs(document *huma.OpenAPI) ([]byte, error) {
	page, err := template.New("docs").Funcs(template.FuncMap{
		"lower": strings.ToLower, "input": inputSchema, "output": outputSchema, "type": schemaType, "fields": fields(document),
	}).Parse(docsPage)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = page.Execute(&b, map[string]any{"Info": document.Info, "Prefix": Prefix, "Sections": sections(document)})
	return b.Bytes(), err
}

func sections(document *huma.OpenAPI) []section {
	var all []section
	for _, tag := range document.Tags {
		s := section{Tag: tag}
		for _, item := range document.Paths {
			for _, op := range []*huma.Operation{item.Get, item.Post, item.Patch, item.Delete} {
				if op != nil && slices.Contains(op.Tags, tag.Name) {
					s.Operations = append(s.Operations, op)
				}
			}
		}
		slices.SortFunc(s.Operations, func(a, b *huma.Operation) int {
			if by := strings.Compare(a.Path, b.Path); by != 0 {
				return by
			}
			return strings.Compare(a.Method, b.Method)
		})
		all = append(all, s)
	}
	return all
}

func inputSchema(op *huma.Operation) *huma.Schema {
	if op.RequestBody == nil {
		return nil
	}
	if media := op.RequestBody.Content["application/json"]; media != nil {
		return media.Schema
	}
	return nil
}

func outputSchema(op *huma.Operation) *huma.Schema {
	for _, status := range []string{"200", "201"} {
		if r := op.Responses[status]; r != nil && r.Content["application/json"] != nil {
			return r.Content["application/json"].Schema
		}
	}
	return nil
}

// schemaType says in a word or two what a value is.
func schemaType(s *huma.Schema) string {
	switch {
	case s == nil:
		return ""
	case len(s.OneOf) == 2 && s.OneOf[1].Type == "null":
		return schemaType(s.OneOf[0]) + " or null"
	case s.Ref != "":
		return s.Ref[strings.LastIndexByte(s.Ref, '/')+1:]
	case s.Type == huma.TypeArray && s.Items != nil:
		return "list of " + schemaType(s.Items)
	case len(s.Enum) > 0:
		return strings.Trim(strings.ReplaceAll(fmt.Sprint(s.Enum...), " ", ", "), "[]")
	case s.Format != "" && s.Type == huma.TypeString:
		return s.Format
	case s.Type == "":
		return "any"
	}
	return s.Type
}

// field is a row of the page's tables.
type field struct {
	Name, Type, Doc string
	Required        bool
}

// fields lists what an object holds, looking up references.
func fields(document *huma.OpenAPI) func(*huma.Schema) []field {
	return func(s *huma.Schema) []field {
		if s != nil && s.Ref != "" {
			s = document.Components.Schemas.SchemaFromRef(s.Ref)
		}
		if s == nil {
			return nil
		}
		var rows []field
		for name, p := range s.Properties {
			rows = append(rows, field{name, schemaType(p), p.Description, slices.Contains(s.Required, name)})
		}
		slices.SortFunc(rows, func(a, b field) int { return strings.Compare(a.Name, b.Name) })
		return rows
	}
}

// styleHash is the hash by which a Content-Security-Policy allows the page's
// one style element.
func styleHash(page string) string {
	_, rest, _ := strings.Cut(page, "<style>")
	style, _, _ := strings.Cut(rest, "</style>")
	sum := sha256.Sum256([]byte(style))
	return base64.StdEncoding.EncodeToString(sum[:])
}
