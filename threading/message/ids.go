package message

import "strings"

// Bounds of what is read as Message-IDs.
const (
	maxIDLen   = 998 // RFC 5322, 2.1.1: no line is longer
	maxIDs     = 200
	maxIDBytes = 16 << 10
)

// ParseIDs returns the Message-IDs in the value of In-Reply-To or References,
// without angle brackets, in order, each once. It reads at most 16 KiB and
// gives at most 200 ids; blanks that folding brought into an id are dropped.
// Where there are no brackets at all, words with an @ are taken. Linear.
func ParseIDs(value string) []string {
	if len(value) > maxIDBytes {
		value = value[:maxIDBytes]
	}
	var out []string
	add := func(id string) {
		if id = cleanID(id); id == "" || len(id) > maxIDLen {
			return
		}
		for _, known := range out {
			if known == id {
				return
			}
		}
		out = append(out, id)
	}
	if strings.IndexByte(value, '<') < 0 {
		for word := range strings.FieldsFuncSeq(value, func(r rune) bool { return r == ' ' || r == '\t' || r == ',' }) {
			if len(out) < maxIDs && strings.IndexByte(word, '@') > 0 {
				add(word)
			}
		}
		return out
	}
	for len(out) < maxIDs {
		open := strings.IndexByte(value, '<')
		if open < 0 {
			break
		}
		value = value[open+1:]
		end := strings.IndexAny(value, "<>")
		if end < 0 {
			add(value)
			break
		}
		add(value[:end])
		value = value[end:]
	}
	return out
}

// cleanID drops what no id may hold: blanks, controls, brackets.
func cleanID(s string) string {
	s = CleanLine(s)
	if strings.ContainsAny(s, " <>") {
		s = strings.NewReplacer(" ", "", "<", "", ">", "").Replace(s)
	}
	return s
}

// messageID is the id of the mail itself. One that no index could hold is none.
func messageID(value string) (id, defect string) {
	if value == "" {
		return "", "message_id_missing"
	}
	if open := strings.IndexByte(value, '<'); open >= 0 {
		value = value[open+1:]
		if end := strings.IndexByte(value, '>'); end >= 0 {
			value = value[:end]
		}
	} else if word, _, ok := strings.Cut(value, " "); ok {
		value = word
	}
	if len(value) > maxIDLen {
		return "", "message_id_too_long"
	}
	if id = cleanID(value); id == "" || len(id) > maxIDLen {
		return "", "message_id_unusable"
	}
	return id, ""
}
