package message

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes s safe for every store: valid UTF-8 (what is broken becomes
// U+FFFD) and without NUL. It returns s itself when nothing is to be done.
func Clean(s string) string {
	if strings.IndexByte(s, 0) >= 0 {
		s = strings.ReplaceAll(s, "\x00", "")
	}
	if utf8.ValidString(s) {
		return s
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// CleanLine makes s safe to show on one line: Clean, line ends and tabs become
// blanks, control, direction and zero-width characters go, blanks at both ends
// are trimmed. Joiners stay where scripts and emoji need them.
func CleanLine(s string) string {
	if isPlainLine(s) {
		return strings.Trim(s, " ")
	}
	s = Clean(s)
	var b strings.Builder
	b.Grow(len(s))
	var last rune
	for i, r := range s {
		switch {
		case r == '\t' || r == '\n' || r == '\r' || r == 0x2028 || r == 0x2029 || r == 0x85:
			r = ' '
		case isJoiner(r):
			if !joins(r, last, s[i+utf8.RuneLen(r):]) {
				continue
			}
		case isHidden(r):
			continue
		}
		b.WriteRune(r)
		last = r
	}
	return strings.TrimFunc(b.String(), unicode.IsSpace)
}

// isPlainLine tells that s is printable ASCII, the common case.
func isPlainLine(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < 32 || s[i] > 126 {
			return false
		}
	}
	return true
}

// isHidden tells characters that are not seen or that change the direction of
// what is seen (UTS 36, 3; Trojan Source).
func isHidden(r rune) bool {
	switch {
	case r < 32 || (r >= 0x7f && r <= 0x9f):
		return true
	case r < 0xad:
		return false
	case r == 0xad, r == 0x34f, r == 0x61c, r == 0x115f, r == 0x1160, r == 0x180e, r == 0x3164, r == 0xfeff, r == 0xffa0:
		return true
	case r >= 0x200b && r <= 0x200f, r >= 0x202a && r <= 0x202e, r >= 0x2060 && r <= 0x206f:
		return true
	case r >= 0xfff9 && r <= 0xfffb, r >= 0xe0000 && r <= 0xe0fff:
		return true
	}
	return false
}

func isJoiner(r rune) bool { return r == 0x200c || r == 0x200d }

// joins tells whether the joiner r has work to do: between letters of Arabic
// and the scripts of India, or (the wide one) between emoji.
func joins(r, before rune, rest string) bool {
	after, _ := utf8.DecodeRuneInString(rest)
	script := func(c rune) bool { return c >= 0x600 && c < 0xe00 }
	if script(before) && script(after) {
		return true
	}
	emoji := func(c rune) bool { return c >= 0x2190 && c != utf8.RuneError && !isHidden(c) }
	return r == 0x200d && emoji(before) && emoji(after)
}
