package api_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// described holds answers against the OpenAPI document.
type described struct {
	t       *testing.T
	schemas map[string]m
	paths   map[string]map[string]struct {
		Responses map[string]struct {
			Content map[string]struct{ Schema m }
			Headers m
		}
	}
}

func (f *fixture) described() *described {
	f.t.Helper()
	var doc struct {
		Paths      json.RawMessage
		Components struct{ Schemas map[string]m }
	}
	f.must(json.Unmarshal(f.do("nobody", "GET", "/openapi.json", nil).is(200).Body.Bytes(), &doc))
	d := &described{t: f.t, schemas: doc.Components.Schemas}
	f.must(json.Unmarshal(doc.Paths, &d.paths))
	return d
}

// answer checks the answer of an operation: its status, type, headers and shape.
func (d *described) answer(method, path string, r reply) reply {
	d.t.Helper()
	where := fmt.Sprint(method, " ", path, " ", r.Code)
	said, ok := d.paths[path][strings.ToLower(method)].Responses[fmt.Sprint(r.Code)]
	if !ok {
		d.t.Errorf("%s is not described: %s", where, r.Body)
		return r
	}
	for _, name := range []string{"Location", "ETag"} {
		if r.Header().Get(name) != "" && said.Headers[name] == nil {
			d.t.Errorf("%s: %s is not described", where, name)
		}
	}
	media, _, _ := strings.Cut(r.Header().Get("Content-Type"), ";")
	content, ok := said.Content[media]
	if _, any := said.Content["*/*"]; !ok && !any && r.Body.Len() > 0 {
		d.t.Errorf("%s: an answer of type %q", where, media)
	}
	if media == "application/json" && ok {
		var v any
		if err := json.Unmarshal(r.Body.Bytes(), &v); err != nil {
			d.t.Errorf("%s: %v", where, err)
		}
		for _, fault := range d.faults(content.Schema, v, where) {
			d.t.Error(fault)
		}
	}
	return r
}

// faults tells where a value is not of a schema.
func (d *described) faults(schema m, v any, where string) (all []string) {
	if ref, ok := schema["$ref"].(string); ok {
		return d.faults(d.schemas[strings.TrimPrefix(ref, "#/components/schemas/")], v, where)
	}
	if choices, ok := schema["oneOf"].([]any); ok {
		for _, one := range choices {
			if all = d.faults(one.(m), v, where); len(all) == 0 {
				return nil
			}
		}
		return all
	}
	if types := typesOf(schema); types != nil && !slices.Contains(types, typeOf(v)) {
		return []string{fmt.Sprintf("%s: %v is none of %v", where, v, types)}
	}
	if words, ok := schema["enum"].([]any); ok && v != nil && !slices.Contains(words, v) {
		return []string{fmt.Sprintf("%s: %q is none of %v", where, v, words)}
	}
	switch v := v.(type) {
	case []any:
		items, _ := schema["items"].(m)
		for _, one := range v {
			all = append(all, d.faults(items, one, where+"[]")...)
		}
	case m:
		return d.objectFaults(schema, v, where)
	}
	return all
}

func (d *described) objectFaults(schema, v m, where string) (all []string) {
	properties, _ := schema["properties"].(m)
	if properties == nil { // any words as keys
		return nil
	}
	for _, name := range slices.Sorted(maps.Keys(v)) {
		one, ok := properties[name].(m)
		if !ok {
			all = append(all, where+": "+name+" is not described")
			continue
		}
		all = append(all, d.faults(one, v[name], where+"."+name)...)
	}
	return all
}

func typesOf(schema m) []string {
	switch t := schema["type"].(type) {
	case string:
		return []string{t, map[bool]string{true: "integer"}[t == "number"]}
	case []any:
		var all []string
		for _, one := range t {
			all = append(all, one.(string))
		}
		return all
	}
	return nil
}

func typeOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return "string"
	case bool:
		return "boolean"
	case []any:
		return "array"
	case float64:
		if v == float64(int64(v)) {
			return "integer"
		}
		return "number"
	}
	return "object"
}

// What is answered is what the description says, so that a client that was
// generated from it can read it.
func TestAnswersFitTheDescription(t *testing.T) {
	f := newFixture(t)
	w := f.world()
	d := f.described()
	ticket := "/tickets/" + w["/tickets"]
	for _, c := range []struct {
		path, at string
		body     any
	}{
		{"/tickets", "/tickets", m{"kind": "internal", "channel_id": f.channel, "subject": "s", "text": "t"}},
		{"/tickets", "/tickets", m{"kind": "enquiry", "draft": true}},
		{"/tickets/{number}/activities", ticket + "/activities", m{"type": "note", "text": "t", "draft": true}},
		{"/tickets/{number}/activities", ticket + "/activities", m{"type": "incoming", "text": "t"}},
		{"/tickets/bulk", "/tickets/bulk", m{"numbers": []json.Number{json.Number(w["/tickets"]), "99999"}, "patch": m{"priority": "high"}}},
		{"/rules/try", "/rules/try", m{"condition": "true"}},
		{"/rules", "/rules", m{"name": "Numbers", "actions": m{"extract": m{"field": "serial", "from": "text", "pattern": "[0-9]+"}}}},
		{"/events/token", "/events/token", nil},
		{"/tickets/{number}/activities/{id}/hide", ticket + "/activities/" + w["/activities"] + "/hide", nil},
	} {
		d.answer("POST", c.path, f.do("admin", "POST", c.at, c.body))
	}
	mail := strings.ReplaceAll(customersMail, "one@", "three@")
	for range 2 { // the second time it is here already
		d.answer("POST", "/messages", f.do("standard", "POST", "/messages?account_id="+f.account, mail, "Content-Type", "message/rfc822"))
	}
	d.answer("POST", "/explain", f.do("standard", "POST", "/explain?to=support@example.test", mail, "Content-Type", "message/rfc822"))
	asked := 0
	for path, item := range f.document().Paths {
		if item["get"] != nil && path != "/events" && path != "/contacts/{id}/export" {
			d.answer("GET", path, f.do("admin", "GET", w.fill(path), nil))
			asked++
		}
	}
	if asked < 50 {
		t.Errorf("only %d were asked", asked)
	}
}
