package outbound

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"
)

// Line lengths: what a header line should keep (RFC 5322, 2.1.1), what an
// encoded word has at most (RFC 2047, 2, allows 75; shorter ones fit beside the
// name of their field), and what no line may exceed (RFC 5321, 4.5.3.1.6).
const (
	foldAt     = 78
	maxEncoded = 64
	maxLine    = 998
)

// encodeWords writes s as encoded words (RFC 2047), separated by blanks at
// which the field folds. No word splits a character.
func encodeWords(s string) string {
	if mostlyASCII(s) {
		return joinWords(s, "=?utf-8?q?", maxEncoded-12, qCost, qEncode)
	}
	return joinWords(s, "=?utf-8?b?", (maxEncoded-12)/4*3, utf8.RuneLen, func(chunk string) string {
		return base64.StdEncoding.EncodeToString([]byte(chunk))
	})
}

func joinWords(s, open string, room int, cost func(rune) int, encode func(string) string) string {
	var words []string
	for s != "" {
		end, left := 0, room
		for i, r := range s {
			if left -= cost(r); left < 0 {
				break
			}
			end = i + utf8.RuneLen(r)
		}
		words = append(words, open+encode(s[:end])+"?=")
		s = s[end:]
	}
	return strings.Join(words, " ")
}

// mostlyASCII tells that the Q encoding of s is shorter than its B encoding.
func mostlyASCII(s string) bool {
	cost := 0
	for _, r := range s {
		cost += qCost(r)
	}
	return cost <= len(s)*4/3+1
}

// qPlain tells the octets that stand for themselves in a Q word anywhere in a
// header, also in the phrase before an address (RFC 2047, 5 (3)).
func qPlain(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte("!*+-/", c) >= 0
}

func qCost(r rune) int {
	if r == ' ' || r < utf8.RuneSelf && qPlain(byte(r)) {
		return 1
	}
	return 3 * utf8.RuneLen(r)
}

const hexDigits = "0123456789ABCDEF"

func qEncode(s string) string {
	b := make([]byte, 0, 3*len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == ' ':
			b = append(b, '_')
		case qPlain(c):
			b = append(b, c)
		default:
			b = append(b, '=', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return string(b)
}

// plainText tells that s may stand in a header as it is: printable ASCII in
// words of bearable length with single blanks between them (at which it folds),
// and nothing that a reader would take for an encoded word.
func plainText(s string) bool {
	if strings.Contains(s, "=?") || strings.Contains(s, "  ") || strings.Trim(s, " ") != s {
		return false
	}
	word := 0
	for i := 0; i < len(s); i++ {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
		if word++; s[i] == ' ' {
			word = 0
		}
		if word >= foldAt {
			return false
		}
	}
	return true
}
