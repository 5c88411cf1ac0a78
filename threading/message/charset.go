package message

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html/charset"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
)

// decodeCharset turns bytes in the named charset into clean UTF-8. A name that
// nobody knows, and US-ASCII with 8-bit bytes, are guessed.
func decodeCharset(b []byte, name string) string {
	s, _ := decodeText(b, name)
	return s
}

// decodeText also tells whether the charset was known.
func decodeText(b []byte, name string) (string, bool) {
	name = strings.ToLower(strings.Trim(name, " \t\"'"))
	switch name {
	case "", "us-ascii", "ascii", "utf-8", "utf8", "unknown", "unknown-8bit", "x-unknown", "default", "binary", "8bit", "7bit", "ansi":
		if name == "utf-8" || name == "utf8" {
			return Clean(string(b)), true
		}
		return guessText(string(b)), name == "" || strings.HasSuffix(name, "ascii")
	case "utf-7", "unicode-1-1-utf-7", "x-unicode-2-0-utf-7", "utf7":
		return Clean(decodeUTF7(b)), true
	}
	enc := lookupCharset(name)
	if enc == nil {
		return guessText(string(b)), false
	}
	out, err := enc.NewDecoder().Bytes(b)
	if err != nil {
		return guessText(string(b)), true
	}
	return Clean(string(out)), true
}

// lookupCharset finds an encoding by the names that browsers, IANA and mailers
// have for it; nil when there is none.
func lookupCharset(name string) encoding.Encoding {
	switch name {
	case "hz-gb-2312", "hz":
		return simplifiedchinese.HZGB2312
	case "utf-16", "utf16", "ucs-2", "iso-10646-ucs-2":
		return unicode.UTF16(unicode.BigEndian, unicode.UseBOM)
	case "utf-16be":
		return unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
	case "utf-16le":
		return unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	case "utf-32", "utf32":
		return utf32.UTF32(utf32.BigEndian, utf32.UseBOM)
	case "utf-32be":
		return utf32.UTF32(utf32.BigEndian, utf32.IgnoreBOM)
	case "utf-32le":
		return utf32.UTF32(utf32.LittleEndian, utf32.IgnoreBOM)
	case "cp-850", "cp850", "ibm850":
		return charmap.CodePage850
	case "cp437", "cp-437", "ibm437":
		return charmap.CodePage437
	}
	if enc, canonical := charset.Lookup(name); enc != nil && canonical != "replacement" {
		return enc
	}
	if enc, err := ianaindex.MIME.Encoding(name); err == nil && enc != nil {
		return enc
	}
	for _, prefix := range []string{"cp-", "cp", "win-", "win", "windows"} {
		if digits, ok := strings.CutPrefix(name, prefix); ok && digits != "" {
			if enc, _ := charset.Lookup("windows-" + strings.TrimPrefix(digits, "-")); enc != nil {
				return enc
			}
		}
	}
	return nil
}

// guessText reads bytes without a (known) charset: as UTF-8 if they are that,
// else as windows-1252, in which every byte means something. Where UTF-8 has
// the upper hand, only the bytes that are none are read as windows-1252.
func guessText(s string) string {
	if utf8.ValidString(s) {
		return Clean(s)
	}
	good, bad := 0, 0
	for i, r := range s {
		if r == utf8.RuneError && !strings.HasPrefix(s[i:], "\uFFFD") {
			bad++
		} else if r >= utf8.RuneSelf {
			good++
		}
	}
	var out strings.Builder
	out.Grow(len(s) + len(s)/8)
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if good < bad || r == utf8.RuneError && n == 1 {
			r, n = charmap.Windows1252.DecodeByte(s[i]), 1
		}
		out.WriteRune(r)
		i += n
	}
	return Clean(out.String())
}

// decodeUTF7 reads RFC 2152. Only text comes out of it: what looks like markup
// is sanitised like any other.
func decodeUTF7(b []byte) string {
	var out strings.Builder
	out.Grow(len(b))
	for i := 0; i < len(b); i++ {
		if b[i] != '+' {
			out.WriteByte(b[i])
			continue
		}
		j := i + 1
		for j < len(b) && isBase64(b[j]) && b[j] != '-' && b[j] != '_' {
			j++
		}
		if j == i+1 && j < len(b) && b[j] == '-' {
			out.WriteByte('+')
		} else {
			units := appendBase64(nil, string(b[i+1:j]))
			text, _ := unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM).NewDecoder().Bytes(units[:len(units)&^1])
			out.Write(text)
		}
		if j < len(b) && b[j] == '-' {
			j++
		}
		i = j - 1
	}
	return out.String()
}
