package threading

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// maxTagScan bounds the part of a subject or text that is searched for tags.
const maxTagScan = 16 << 10

// maxTag bounds the octets of a tag, blanks inside the brackets included.
const maxTag = 64

// maxTags bounds how many tags of one text count.
const maxTags = 20

// Keys are the ticket keys of references: the first writes, all are read.
type Keys []string

// Reference gives key and number: T#10001.
func (k Keys) Reference(number int64) string {
	return k[0] + "#" + strconv.FormatInt(number, 10)
}

// Tag gives the reference in brackets, as it stands in a subject.
func (k Keys) Tag(number int64) string { return "[" + k.Reference(number) + "]" }

// Tags finds the ticket numbers of the tags in a decoded text, in order. Case,
// width (NFKC) and blanks inside the brackets don't matter. A number alone,
// another key and a number with leading zeros are no tags.
func (k Keys) Tags(text string) []int64 {
	var found []int64
	s := tagForm(text)
	for i := 0; i < len(s) && len(found) < maxTags; i++ {
		if s[i] != '[' {
			continue
		}
		if number, rest, ok := k.reference(skipBlanks(s[i+1:]), true); ok && strings.HasPrefix(skipBlanks(rest), "]") {
			found = append(found, number)
		}
	}
	return found
}

// References finds references that stand as words without brackets, in order.
func (k Keys) References(text string) []int64 {
	var found []int64
	s := tagForm(text)
	word := false // the character before belongs to a word
	for i, r := range s {
		if len(found) == maxTags {
			break
		}
		if !word && r != '[' {
			number, rest, ok := k.reference(s[i:], false)
			if ok && !startsWord(rest) && !bracketed(s[:i], rest) {
				found = append(found, number)
			}
		}
		word = wordRune(r) || r == '#'
	}
	return found
}

// Without takes every tag of ours out of a subject.
func (k Keys) Without(subject string) string {
	var b strings.Builder
	s := norm.NFC.String(subject)
	for i := 0; i < len(s); {
		if s[i] == '[' && i < maxTagScan {
			if end := strings.IndexByte(s[i:min(len(s), i+maxTag)], ']'); end > 0 && len(k.Tags(s[i:i+end+1])) == 1 {
				i += end + 1
				continue
			}
		}
		_, size := utf8.DecodeRuneInString(s[i:])
		b.WriteString(s[i : i+size])
		i += size
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// reference reads KEY#NUMBER at the start of s, with blanks around the # where
// they are allowed, and gives what follows it.
func (k Keys) reference(s string, blanks bool) (number int64, rest string, ok bool) {
	for _, key := range k {
		if len(s) <= len(key) || !strings.EqualFold(s[:len(key)], key) {
			continue
		}
		rest := s[len(key):]
		if blanks {
			rest = skipBlanks(rest)
		}
		rest, found := strings.CutPrefix(rest, "#")
		if !found {
			continue
		}
		if blanks {
			rest = skipBlanks(rest)
		}
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		if digits == 0 || digits > 15 || rest[0] == '0' {
			continue
		}
		number, err := strconv.ParseInt(rest[:digits], 10, 64)
		if err == nil {
			return number, rest[digits:], true
		}
	}
	return 0, "", false
}

func tagForm(text string) string {
	if len(text) > maxTagScan {
		text = text[:maxTagScan]
	}
	return norm.NFKC.String(text)
}

func skipBlanks(s string) string { return strings.TrimLeftFunc(s, unicode.IsSpace) }

func startsWord(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return s != "" && wordRune(r)
}

func wordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' }

// bracketed tells whether what stands between before and after is a tag.
func bracketed(before, after string) bool {
	return strings.HasSuffix(strings.TrimRightFunc(before, unicode.IsSpace), "[") &&
		strings.HasPrefix(skipBlanks(after), "]")
}

// replyPrefixes are the words that mail programs put before a subject.
var replyPrefixes = []string{"re", "aw", "wg", "fwd", "fw", "sv", "vs", "rv", "antw", "答复", "回复", "转发", "tr", "odp", "ref", "r", "i", "enc", "res"}

// bareSubject takes reply prefixes and our tags off a subject.
func (k Keys) bareSubject(subject string) string {
	s := k.Without(subject)
	for {
		head, rest, ok := cutColon(s)
		if !ok || !isReplyPrefix(head) {
			return strings.TrimSpace(s)
		}
		s = strings.TrimSpace(rest)
	}
}

// cutColon cuts behind a first word of at most maxTag octets that a colon,
// narrow or wide, ends.
func cutColon(s string) (head, rest string, ok bool) {
	at := strings.IndexAny(s[:min(len(s), maxTag)], ":：")
	if at < 0 {
		return s, "", false
	}
	_, size := utf8.DecodeRuneInString(s[at:])
	return s[:at], s[at+size:], true
}

func isReplyPrefix(head string) bool {
	head = strings.TrimSpace(head)
	if open := strings.IndexAny(head, "[("); open > 0 { // Re[2]:
		head = head[:open]
	}
	for _, prefix := range replyPrefixes {
		if strings.EqualFold(head, prefix) {
			return true
		}
	}
	return false
}

// The ways of a channel to put the tag into a subject.
const (
	tagPrepend = "prepend"
	tagAppend  = "append"
	tagOff     = "off"
)

// Subject writes the subject of a mail about a ticket: the tag exactly once,
// where the channel wants it, and one Re: before a reply's.
func (k Keys) Subject(subject string, number int64, place string, reply bool) string {
	bare := k.bareSubject(subject)
	switch place {
	case tagAppend:
		bare = strings.TrimSpace(bare + " " + k.Tag(number))
	case tagOff:
	default:
		bare = strings.TrimSpace(k.Tag(number) + " " + bare)
	}
	if reply {
		return "Re: " + bare
	}
	return bare
}
