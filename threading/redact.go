package threading

import (
	"bytes"
	"cmp"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/publicsuffix"

	"ticketgate/store"
)

// erasedMark stands where something of an erased person stood.
const erasedMark = "[erased]"

// redactor takes a person out of what others wrote. Addresses and Message-IDs
// are taken out wherever they stand, names and other words where people write.
// Where quotes are to go, so are quoted lines and lines that the person wrote.
type redactor struct {
	sure   *regexp.Regexp // addresses and Message-IDs; nil: there are none
	words  *regexp.Regexp // these, and all other words
	quotes bool
	lines  map[string]bool // what the person wrote, line by line
}

// traits are what a person is known by.
type traits struct {
	addresses []string // with or without a +detail
	ids       []string // Message-IDs
	words     []string // phones, subjects: whole
	names     []string // whole, and in their parts
}

// The lengths from which a part of a name, and another word, are taken out.
const (
	minNamePart = 3
	minWord     = 5
)

func newRedactor(k traits, quotes bool) *redactor {
	var sure, words []string
	for _, a := range k.addresses {
		local, domain, _ := strings.Cut(a, "@")
		sure = append(sure, bounded(local, `(\+[^@\s"<>]*)?@`+bounded(domain, "")))
	}
	for _, id := range k.ids {
		sure = append(sure, bounded(id, ""))
	}
	for _, word := range k.words {
		if word = strings.TrimSpace(word); len(word) >= minWord {
			words = append(words, bounded(word, ""))
		}
	}
	for _, name := range k.names {
		if strings.Contains(name, "@") {
			continue // an address in its place: its parts are no names
		}
		for _, part := range append([]string{strings.TrimSpace(name)}, strings.FieldsFunc(name, inName)...) {
			if utf8.RuneCountInString(part) >= minNamePart {
				words = append(words, bounded(part, ""))
			}
		}
	}
	return &redactor{sure: oneOf(sure), words: oneOf(append(sure, words...)), quotes: quotes, lines: map[string]bool{}}
}

// inName tells what parts a name.
func inName(r rune) bool { return !unicode.IsLetter(r) && r != '-' }

// oneOf finds any of some patterns, in whatever case; the longest counts.
func oneOf(patterns []string) *regexp.Regexp {
	if len(patterns) == 0 {
		return nil
	}
	patterns = slices.Clone(patterns)
	slices.SortFunc(patterns, func(a, b string) int { return cmp.Or(len(b)-len(a), strings.Compare(a, b)) })
	return regexp.MustCompile(`(?i)` + strings.Join(slices.Compact(patterns), "|"))
}

// bounded is the pattern of a word, and of what follows it. One that begins or
// ends with an ASCII letter is not found inside of a longer one.
func bounded(word, then string) string {
	if word == "" {
		return `\x00` // is in no text
	}
	pattern := regexp.QuoteMeta(word) + then
	if isASCIIWord(word[0]) {
		pattern = `\b` + pattern
	}
	if then == "" && isASCIIWord(word[len(word)-1]) {
		pattern += `\b`
	}
	return pattern
}

func isASCIIWord(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// wrote adds what the person wrote, so that others who quote it lose it.
func (r *redactor) wrote(text string) {
	for _, line := range strings.Split(text, "\n") {
		if line = plainLine(line); len(line) >= 4 {
			r.lines[line] = true
		}
	}
}

// plainLine is a line without quote marks, and with single spaces.
func plainLine(line string) string {
	return strings.ToLower(strings.Join(strings.Fields(strings.TrimLeft(line, "> \t|")), " "))
}

// text takes the person out of words.
func (r *redactor) text(s string) string {
	if r.quotes {
		s = r.unquoted(s)
	}
	return r.plain(s)
}

// plain takes out words alone.
func (r *redactor) plain(s string) string { return without(r.words, s) }

func without(pattern *regexp.Regexp, s string) string {
	var b strings.Builder
	last := 0
	for _, at := range standsAt(pattern, s) {
		b.WriteString(s[last:at[0]] + erasedMark)
		last = at[1]
	}
	return b.String() + s[last:]
}

// standsAt gives where a pattern stands in a text, but for an address that is only
// a part of another one: jo.smith@ is not smith@, nor x.example.org x.example.
func standsAt(pattern *regexp.Regexp, s string) [][]int {
	if pattern == nil {
		return nil
	}
	return slices.DeleteFunc(pattern.FindAllStringIndex(s, -1), func(at []int) bool {
		found := s[at[0]:at[1]]
		return strings.Contains(found, "@") && (joined(lastTwo(s[:at[0]])) || joined(firstTwo(s[at[1]:])) && isDomain(found, s[at[1]:]))
	})
}

// joined tells whether what stands beside an address goes on with it: a sign
// that joins, behind which (second) there is a letter or a digit.
func joined(beside, second rune) bool {
	inner := beside == '.' || beside == '-' || beside == '+'
	return inner && (unicode.IsLetter(second) || unicode.IsDigit(second)) || unicode.IsLetter(beside) || unicode.IsDigit(beside)
}

// isDomain tells whether an address, with what follows it, ends in a domain that
// there can be: in the name of a file (smith@x.example.pdf) it does not.
func isDomain(address, rest string) bool {
	_, domain, _ := strings.Cut(address, "@")
	end := strings.IndexFunc(rest, func(r rune) bool { return r != '.' && r != '-' && !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	if end < 0 {
		end = len(rest)
	}
	_, known := publicsuffix.PublicSuffix(strings.ToLower(strings.TrimRight(domain+rest[:end], ".-")))
	return known
}

func firstTwo(s string) (beside, second rune) {
	beside, size := utf8.DecodeRuneInString(s)
	second, _ = utf8.DecodeRuneInString(s[size:])
	return beside, second
}

func lastTwo(s string) (beside, second rune) {
	beside, size := utf8.DecodeLastRuneInString(s)
	second, _ = utf8.DecodeLastRuneInString(s[:len(s)-size])
	return beside, second
}

// unquoted takes out lines that quote. Of several in a row one mark is left.
func (r *redactor) unquoted(s string) string {
	lines := strings.Split(s, "\n")
	kept := make([]string, 0, len(lines))
	for _, line := range lines {
		quoted := strings.HasPrefix(strings.TrimLeft(line, " \t"), ">")
		switch {
		case !quoted && !r.lines[plainLine(line)]:
			kept = append(kept, line)
		case len(kept) == 0 || kept[len(kept)-1] != erasedMark:
			kept = append(kept, erasedMark)
		}
	}
	return strings.Join(kept, "\n")
}

// json takes the person out of the texts of a document. Addresses of the person
// leave their lists. What is no document is emptied.
func (r *redactor) json(doc string) string {
	decoder := json.NewDecoder(strings.NewReader(doc))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return "null"
	}
	before, err := json.Marshal(value)
	if err != nil {
		return "null"
	}
	after, err := json.Marshal(r.value("", value))
	switch {
	case err != nil:
		return "null"
	case bytes.Equal(before, after):
		return doc
	}
	return string(after)
}

// spoken tells the fields of our documents in which people write. In the others
// stand ids, times and words of ours, which a name must not be looked for in.
func spoken(key string) bool {
	switch key {
	case "text", "html", "subject", "comment", "name", "phone", "from", "to", "value", "why", "did", "refused", "defects":
		return true
	}
	return false
}

func (r *redactor) value(key string, v any) any {
	switch v := v.(type) {
	case string:
		if spoken(key) {
			return r.text(v)
		}
		return without(r.sure, v)
	case []any:
		kept := make([]any, 0, len(v))
		for _, one := range v {
			if !r.isPerson(one) {
				kept = append(kept, r.value(key, one))
			}
		}
		return kept
	case map[string]any:
		for key, one := range v {
			v[key] = r.value(key, one)
		}
	}
	return v
}

// isPerson tells the person's address, or one of his Message-IDs, in a list.
func (r *redactor) isPerson(v any) bool {
	if m, ok := v.(map[string]any); ok {
		v = m["address"]
	}
	s, ok := v.(string)
	return ok && s != "" && r.sure != nil && r.sure.FindString(s) == s
}

// detail takes the person out of what is kept with an activity, and tells
// whether he was not in it.
func (r *redactor) detail(a *store.Activity) (same bool, err error) {
	before, err := json.Marshal(a.ActivityDetail)
	if err != nil {
		return false, err
	}
	after := r.json(string(before))
	if after == string(before) {
		return true, nil
	}
	a.ActivityDetail = store.ActivityDetail{}
	return false, json.Unmarshal([]byte(after), &a.ActivityDetail)
}

// knows tells whether an activity names the person's address, or a mail of his.
func (r *redactor) knows(a store.Activity) bool {
	detail, err := json.Marshal(a.ActivityDetail)
	return err != nil || len(standsAt(r.sure, string(detail))) > 0 || len(standsAt(r.sure, a.Text)) > 0
}

// mail takes the person out of a mail of the ledger. What told agents or the
// person of the ticket loses all its words; so does the HTML of an answer that
// is changed.
func (r *redactor) mail(kind store.MailKind, content string) string {
	after := content
	if r.quotes && kind != store.MailAnswer {
		after = withoutFields(after, "text", "html", "subject")
	}
	if after = r.json(after); after != content {
		after = withoutFields(after, "html")
	}
	return after
}

// withoutFields empties texts of a document. The subject is not optional.
func withoutFields(doc string, fields ...string) string {
	var value map[string]any
	if json.Unmarshal([]byte(doc), &value) != nil {
		return doc
	}
	for _, f := range fields {
		if f == "subject" {
			value[f] = erasedMark
			continue
		}
		delete(value, f)
	}
	after, err := json.Marshal(value)
	if err != nil {
		return doc
	}
	return string(after)
}
