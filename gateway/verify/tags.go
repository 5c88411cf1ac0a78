package verify

import "strings"

// tagList is a list of tag=value pairs as signatures, keys and policies hold
// them (RFC 6376, 3.2).
type tagList struct {
	text string
	tags []tag
}

// tag is one pair; start and end are where its value lies in the text, with the
// blanks around it.
type tag struct {
	name       string
	start, end int
}

// maxTags bounds the pairs of one list; known lists have at most a dozen.
const maxTags = 100

// readTags splits a list. What could be read is returned beside the fault,
// which is "" when there is none: a pair without "=", a bad name, a name that
// stands twice, or too many pairs.
func readTags(text string) (list tagList, fault string) {
	list.text = text
	list.tags = make([]tag, 0, 12)
	for pos := 0; pos <= len(text); {
		end := len(text)
		if n := strings.IndexByte(text[pos:], ';'); n >= 0 {
			end = pos + n
		}
		if f := list.add(pos, end); f != "" {
			return list, f
		}
		pos = end + 1
	}
	return list, ""
}

func (l *tagList) add(start, end int) (fault string) {
	pair := l.text[start:end]
	name, _, ok := strings.Cut(pair, "=")
	key := strings.Trim(name, blanks)
	switch {
	case !ok && key == "":
		return ""
	case !ok:
		return "a tag without value"
	case !isTagName(key):
		return "a bad tag name"
	case l.has(key):
		return "a tag that stands twice"
	case len(l.tags) == maxTags:
		return "too many tags"
	}
	l.tags = append(l.tags, tag{key, start + len(name) + 1, end})
	return ""
}

const blanks = " \t\r\n"

func isTagName(s string) bool {
	for i, c := range []byte(s) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return s != ""
}

func (l *tagList) find(name string) (tag, bool) {
	for _, t := range l.tags {
		if t.name == name {
			return t, true
		}
	}
	return tag{}, false
}

func (l *tagList) has(name string) bool {
	_, ok := l.find(name)
	return ok
}

// get is the value without the blanks around it, "" when there is none.
func (l *tagList) get(name string) string {
	t, _ := l.find(name)
	return strings.Trim(l.text[t.start:t.end], blanks)
}

// splitList splits a value at its colons and takes all blanks out.
func splitList(value string) []string { return strings.Split(squeeze(value), ":") }
