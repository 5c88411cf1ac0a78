package api_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
)

// document is what the tests read of the OpenAPI document.
type document struct {
	OpenAPI    string
	Info       struct{ Title, Version string }
	Servers    []struct{ URL string }
	Paths      map[string]map[string]json.RawMessage
	Components struct {
		Schemas map[string]json.RawMessage
	}
}

type operation struct {
	OperationID string
	Summary     string
	Tags        []string
	Parameters  []struct{ Name, In string }
	Responses   map[string]json.RawMessage
}

func (f *fixture) document() document {
	f.t.Helper()
	var d document
	f.must(json.Unmarshal(f.do("nobody", "GET", "/openapi.json", nil).is(200).Body.Bytes(), &d))
	return d
}

// routes gives METHOD /path of every operation that is described.
func (f *fixture) routes() []string {
	var all []string
	for path, item := range f.document().Paths {
		for method := range item {
			all = append(all, strings.ToUpper(method)+" "+path)
		}
	}
	slices.Sort(all)
	return all
}

func TestTheDescriptionIsWhole(t *testing.T) {
	f := newFixture(t)
	d := f.document()
	if d.OpenAPI != "3.1.0" || d.Info.Title == "" || d.Info.Version != "test" || d.Servers[0].URL != "http://desk.example.test/api/v1" {
		t.Errorf("head: %v %v %v", d.OpenAPI, d.Info, d.Servers)
	}
	ids := map[string]string{}
	for path, item := range d.Paths {
		for method, raw := range item {
			var op operation
			f.must(json.Unmarshal(raw, &op))
			where := strings.ToUpper(method) + " " + path
			if other, taken := ids[op.OperationID]; taken || op.OperationID == "" {
				t.Errorf("%s has the id %q of %s", where, op.OperationID, other)
			}
			ids[op.OperationID] = where
			if len(op.Tags) != 1 || !slices.Contains([]string{"admin", "desk", "outside"}, op.Tags[0]) {
				t.Errorf("%s is tagged %v", where, op.Tags)
			}
			if (op.Tags[0] == "admin") != (matrix[where] == admins) {
				t.Errorf("%s is tagged %v, but the matrix says %s", where, op.Tags, matrix[where])
			}
			if op.Summary == "" || len(op.Responses["default"]) == 0 || len(op.Responses) < 2 {
				t.Errorf("%s has no summary, success or problem: %s", where, raw)
			}
			f.checkParameters(where, path, method, op)
		}
	}
	f.checkReferences(d)
}

// Each closed set of words in the contract stands in the description.
func TestTheWordsOfTheContractAreDescribed(t *testing.T) {
	f := newFixture(t)
	d := f.document()
	for place, words := range map[string]string{
		"TicketInput.kind":               "email enquiry internal",
		"TicketShape.kind":               "email enquiry internal form portal",
		"TicketChoice.kind":              "email enquiry internal form portal",
		"TicketChoice.list":              "my overview drafts",
		"TicketShape.priority":           "low normal high urgent",
		"TicketInput.priority":           "low normal high urgent",
		"TicketChange.priority":          "low normal high urgent",
		"ActivityShape.type":             "incoming outgoing note status_change",
		"ActivityShape.medium":           "email phone letter web portal internal",
		"ActivityInput.type":             "outgoing incoming note", // status_change can't be POSTed
		"ActivityInput.medium":           "email phone letter web portal internal",
		"StatusInput.responsibility":     "us customer none",
		"StatusMention.responsibility":   "us customer none",
		"DeliveryShape.state":            "queued sending sent deferred failed unknown held cancelled",
		"AccountInput.type":              "ticket system",
		"AgentInput.role":                "agent admin",
		"SubscriptionInputBody.type":     "standard informal",
		"ConfirmInputBody.remember":      "nothing participant contact",
		"ChannelInput.subject_tag":       "prepend append off",
		"ChannelInput.stranger_followup": "hold append new",
		"ChannelInput.require_dkim":      "off quarantine reject",
		"TrustedSenderInput.customer":    "from reply_to",
		"NewKeyBody.algorithm":           "rsa ed25519",
		"EventShape.kind":                "ticket.created activity.created activity.changed delivery.changed agent.notice reset",
	} {
		name, property, _ := strings.Cut(place, ".")
		var schema struct {
			Properties map[string]struct{ Enum []string }
		}
		f.must(json.Unmarshal(d.Components.Schemas[name], &schema))
		if got := strings.Join(schema.Properties[property].Enum, " "); got != words {
			t.Errorf("%s is one of %q, want %q", place, got, words)
		}
	}
}

// What is written for readers of OpenAPI 3.0 is the same, in the words of 3.0.
func TestTheOlderDescription(t *testing.T) {
	f := newFixture(t)
	raw := f.do("nobody", "GET", "/openapi-3.0.json", nil).is(200).Body.String()
	var older document
	f.must(json.Unmarshal([]byte(raw), &older))
	newer := f.document()
	if older.OpenAPI != "3.0.3" || len(older.Paths) != len(newer.Paths) || len(older.Components.Schemas) != len(newer.Components.Schemas) {
		t.Errorf("%s with %d paths and %d schemas", older.OpenAPI, len(older.Paths), len(older.Components.Schemas))
	}
	for _, word := range []string{`"type":"null"`, `"type":[`, `"oneOf":[{"$ref"`} {
		if strings.Contains(raw, word) {
			t.Errorf("it says %s", word)
		}
	}
	if ticket := string(older.Components.Schemas["TicketShape"]); !strings.Contains(ticket, `"contact":{"allOf":[{"$ref":"#/components/schemas/ContactMention"}],"nullable":true}`) {
		t.Errorf("a contact may not be null: %s", ticket)
	}
}

func (f *fixture) checkParameters(where, path, method string, op operation) {
	f.t.Helper()
	named := map[string]int{}
	for _, p := range op.Parameters {
		named[p.In+" "+p.Name]++
	}
	for _, part := range strings.Split(path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok && named["path "+strings.TrimSuffix(name, "}")] != 1 {
			f.t.Errorf("%s does not describe %s: %v", where, part, op.Parameters)
		}
	}
	want := 0
	if method == "post" && matrix[where] != anybody { // who isn't known yet has no answers that could be kept for him
		want = 1
	}
	if named["header Idempotency-Key"] != want {
		f.t.Errorf("%s does not describe its Idempotency-Key: %v", where, op.Parameters)
	}
}

// checkReferences asks for every schema that is referred to.
func (f *fixture) checkReferences(d document) {
	f.t.Helper()
	raw := f.do("nobody", "GET", "/openapi.json", nil).Body.String()
	for _, piece := range strings.Split(raw, `"$ref":"`)[1:] {
		ref, _, _ := strings.Cut(piece, `"`)
		name, ok := strings.CutPrefix(ref, "#/components/schemas/")
		if _, there := d.Components.Schemas[name]; !ok || !there {
			f.t.Errorf("%s leads nowhere", ref)
		}
	}
	for _, name := range []string{"TicketShape", "ActivityShape", "QuarantinedShape"} {
		if !strings.Contains(string(d.Components.Schemas[name]), `{"type":"null"}`) {
			f.t.Errorf("%s has no object that may be null", name)
		}
	}
	for _, word := range []string{"ErrorModel", "huma"} {
		if strings.Contains(raw, word) {
			f.t.Errorf("the document speaks of %s", word)
		}
	}
}

func TestThePageForPeopleLoadsNothing(t *testing.T) {
	f := newFixture(t)
	r := f.do("nobody", "GET", "/api/docs", nil).is(200)
	page := r.Body.String()
	for _, word := range []string{"/tickets/{number}/merge", "Idempotency-Key", "show_in_external_access", "openapi.json"} {
		if !strings.Contains(page, word) {
			t.Errorf("the page doesn't speak of %s", word)
		}
	}
	for _, word := range []string{"<script", "src=", "<link", "@import", "url("} {
		if strings.Contains(page, word) {
			t.Errorf("the page has %s", word)
		}
	}
	if policy := r.Header().Get("Content-Security-Policy"); !strings.HasPrefix(policy, "default-src 'none'; style-src 'sha256-") {
		t.Errorf("policy: %s", policy)
	}
}
