package message

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

// parsed is what another parser made of a mail.
type parsed struct {
	Attachments []int
	TextBody    []int `json:"text_body"`
	HTMLBody    []int `json:"html_body"`
	Parts       []struct {
		Headers []struct {
			Name  json.RawMessage
			Value json.RawMessage
		}
		Body json.RawMessage
	}
}

func (p *parsed) header(part int, name string) json.RawMessage {
	var found json.RawMessage
	for _, h := range p.Parts[part].Headers {
		if string(h.Name) == `"`+name+`"` {
			found = h.Value
		}
	}
	return found
}

func textValue(raw json.RawMessage) string {
	var v struct{ Text string }
	_ = json.Unmarshal(raw, &v) // another shape is another kind of value: ""
	return v.Text
}

// addresses collects every address in a header value, in order.
func addresses(raw json.RawMessage) []string {
	var tree any
	if json.Unmarshal(raw, &tree) != nil {
		return nil
	}
	var out []string
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			if a, ok := v["address"].(string); ok {
				out = append(out, strings.ToLower(a))
			}
			for _, key := range sortedKeys(v) {
				walk(v[key])
			}
		}
	}
	walk(tree)
	return out
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// attachmentNames are the names that the other parser saw, as they came.
func (p *parsed) attachmentNames() []string {
	var out []string
	for _, i := range p.Attachments {
		if i >= len(p.Parts) {
			continue
		}
		for _, field := range []struct{ header, attr string }{{"content_disposition", "filename"}, {"content_type", "name"}} {
			var v struct {
				ContentType struct {
					Attributes []struct{ Name, Value string }
				}
			}
			if json.Unmarshal(p.header(i, field.header), &v) != nil {
				continue
			}
			name := ""
			for _, a := range v.ContentType.Attributes {
				if a.Name == field.attr {
					name = a.Value
				}
			}
			if name != "" {
				out = append(out, safeName(DecodeHeader(name)))
				break
			}
		}
	}
	return out
}

type score struct{ right, all int }

func (s *score) count(t *testing.T, ok bool, format string, args ...any) {
	s.all++
	if ok {
		s.right++
		return
	}
	t.Logf(format, args...)
}

// TestCorpusAgainstAnotherParser compares with what stalwart's parser says. It
// is one view: the floors are what was measured, less what the two see
// differently for good reasons.
func TestCorpusAgainstAnotherParser(t *testing.T) {
	files, _ := filepath.Glob(filepath.Join(corpusDir(t), "stalwartlabs+mail-parser", "resources", "eml", "*", "*.eml"))
	var subjects, from, to, names, texts score
	for _, file := range files {
		base := strings.TrimSuffix(file, ".eml")
		if _, err := os.Stat(base + ".json"); err != nil {
			continue
		}
		var want parsed
		readJSON(t, base+".json", &want)
		m := Parse([]byte(readFile(t, file)))
		id := filepath.Base(base)
		if s := textValue(want.header(0, "subject")); s != "" {
			subjects.count(t, squeeze(CleanLine(s)) == squeeze(m.Subject), "%s subject %q, not %q", id, m.Subject, s)
		}
		compareAddresses(t, &from, id, "from", m.From, addresses(want.header(0, "from")))
		compareAddresses(t, &to, id, "to", m.To, addresses(want.header(0, "to")))
		have := map[string]bool{}
		for _, a := range m.Attachments {
			have[a.Name] = true
		}
		for _, n := range want.attachmentNames() {
			if n != "" {
				names.count(t, have[n], "%s attachment %q is not among %v", id, n, have)
			}
		}
		for _, i := range want.TextBody {
			var body struct{ Text string }
			if json.Unmarshal(want.Parts[i].Body, &body) == nil && body.Text != "" {
				texts.count(t, strings.Contains(squeeze(m.Text), squeeze(Clean(newlines(body.Text)))), "%s text\n got %.200q\nwant %.200q", id, m.Text, body.Text)
			}
		}
	}
	t.Logf("subjects %v, from %v, to %v, names %v, texts %v", subjects, from, to, names, texts)
	floor := []int{58, 60, 60, 62, 57}
	for i, s := range []score{subjects, from, to, names, texts} {
		if s.right < floor[i] {
			t.Errorf("only %d of %d, where %d were right before", s.right, s.all, floor[i])
		}
	}
}

func compareAddresses(t *testing.T, s *score, id, field string, got []Address, want []string) {
	if len(want) == 0 {
		return
	}
	var have []string
	for _, a := range got {
		if a.Local != "" {
			have = append(have, strings.ToLower(a.String()))
		}
	}
	s.count(t, strings.Join(have, " ") == strings.Join(want, " "), "%s %s %q, not %q", id, field, have, want)
}
