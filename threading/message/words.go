package message

import (
	"strings"
)

// DecodeHeader decodes the encoded words of RFC 2047 in s, one by one: what
// can't be decoded stays as it is and costs the others nothing. Neighbouring
// words of one charset are joined before their charset is decoded, so that a
// letter cut in two comes out whole. Unknown charsets are read as UTF-8 if they
// are that, else as windows-1252; so are raw 8-bit characters. The result is
// fit for one line (CleanLine). Time is linear.
func DecodeHeader(s string) string {
	if !strings.Contains(s, "=?") {
		if isPlainLine(s) {
			return strings.Trim(s, " ")
		}
		return CleanLine(guessText(s))
	}
	return CleanLine(decodeWords(s))
}

// encodedWord is one word, cut into its pieces.
type encodedWord struct {
	charset  string
	encoding byte
	text     string
	length   int
}

// maxCharsetName bounds what may stand for a charset in an encoded word.
const maxCharsetName = 40

// cutWord reads the encoded word that s begins with. Blanks inside it are let
// through where the word is Q-encoded: some mailers write them.
func cutWord(s string) (w encodedWord, ok bool) {
	if len(s) < 8 || s[0] != '=' || s[1] != '?' {
		return w, false
	}
	q := strings.IndexByte(s[2:min(len(s), maxCharsetName+3)], '?')
	if q <= 0 || len(s) < q+6 || s[q+4] != '?' {
		return w, false
	}
	w.charset, w.encoding = s[2:2+q], s[q+3]|0x20
	if w.encoding != 'q' && w.encoding != 'b' {
		return w, false
	}
	if star := strings.IndexByte(w.charset, '*'); star >= 0 {
		w.charset = w.charset[:star] // language, RFC 2231, 5
	}
	text := s[q+5:]
	end := strings.IndexByte(text, '?')
	if end < 0 || end+1 >= len(text) || text[end+1] != '=' {
		return w, false
	}
	w.text, w.length = text[:end], q+5+end+2
	return w, !strings.ContainsAny(w.charset, " \t")
}

// encodedWordLen is the length of the encoded word at the start of s that has
// no blank in it, or 0.
func encodedWordLen(s string) int {
	w, ok := cutWord(s)
	if !ok || strings.ContainsAny(w.text, " \t") {
		return 0
	}
	return w.length
}

// decodeWords replaces the encoded words in s.
func decodeWords(s string) string {
	var out strings.Builder
	out.Grow(len(s))
	var run []byte // decoded bytes whose charset is still to be read
	var charset string
	flush := func() {
		if len(run) > 0 {
			out.WriteString(decodeCharset(run, charset))
			run = run[:0]
		}
	}
	plain := 0 // start of text that is not encoded
	for i := 0; i < len(s); {
		w, ok := encodedWord{}, false
		if s[i] == '=' {
			w, ok = cutWord(s[i:])
		}
		if !ok {
			i++
			continue
		}
		if between := s[plain:i]; len(run) == 0 || strings.Trim(between, " \t\r\n") != "" {
			flush()
			out.WriteString(guessText(between))
		}
		if !strings.EqualFold(charset, w.charset) {
			flush()
		}
		charset = w.charset
		run = w.decode(run)
		i += w.length
		plain = i
	}
	flush()
	out.WriteString(guessText(s[plain:]))
	return out.String()
}

// decode appends the word's bytes to dst.
func (w encodedWord) decode(dst []byte) []byte {
	if w.encoding == 'b' {
		return appendBase64(dst, w.text)
	}
	for i := 0; i < len(w.text); i++ {
		c := w.text[i]
		if c == '_' {
			c = ' '
		}
		if c == '=' && i+2 < len(w.text) {
			hi, lo := unhex(w.text[i+1]), unhex(w.text[i+2])
			if hi < 16 && lo < 16 {
				c = hi<<4 | lo
				i += 2
			}
		}
		dst = append(dst, c)
	}
	return dst
}

// unhex is the value of a hexadecimal digit, or 255.
func unhex(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	}
	return 255
}
