package message

import (
	"bytes"
	"encoding/base64"
	"strings"
)

// decodeTransfer undoes a Content-Transfer-Encoding. It always gives what could
// be read; defect is "" or says what was wrong. The result may alias b.
func decodeTransfer(b []byte, encoding string) (out []byte, defect string) {
	switch transferName(encoding) {
	case "", "7bit", "8bit", "binary":
		return b, ""
	case "base64":
		return decodeBase64(b)
	case "quoted-printable":
		return decodeQuotedPrintable(b), ""
	case "uuencode":
		if _, data, ok := decodeUU(b); ok {
			return data, ""
		}
		return b, "uuencode_broken"
	}
	return b, "encoding_unknown"
}

// transferName is the encoding's name as everybody should have written it.
func transferName(s string) string {
	if i := strings.IndexAny(s, ";( \t"); i > 0 && !strings.HasPrefix(s, "8 ") && !strings.HasPrefix(s, "7 ") {
		s = s[:i]
	}
	s = strings.ToLower(strings.Trim(s, " \t\"'"))
	switch s {
	case "8 bit", "8-bit":
		return "8bit"
	case "7 bit", "7-bit":
		return "7bit"
	case "base-64", "b", "x-base64":
		return "base64"
	case "quoted_printable", "quotedprintable", "q", "qp", "quoted-printeable":
		return "quoted-printable"
	case "x-uuencode", "x-uue", "uue", "uuencode":
		return "uuencode"
	}
	return s
}

// decodeBase64 reads a body. Clean input goes the fast way; else foreign bytes
// are skipped, missing padding is no loss, and text after the end is left out.
func decodeBase64(b []byte) ([]byte, string) {
	out := make([]byte, base64.StdEncoding.DecodedLen(len(b)))
	n, err := base64.StdEncoding.Decode(out, bytes.TrimRight(b, " \t\r\n"))
	if err == nil {
		return out[:n], ""
	}
	out = out[:0]
	var acc uint32
	bits, defect, ended := 0, "", false
	for pos := 0; pos < len(b); {
		line, next := cutLine(b, pos)
		pos = next
		if ended && !isBase64Line(line) || hasGap(line) {
			if len(bytes.TrimSpace(line)) > 0 {
				defect = "base64_trailing_text"
			}
			if ended || len(out) > 0 {
				break
			}
		}
		for _, c := range line {
			v := base64Value(c)
			if c == '=' {
				ended, bits, acc = true, 0, 0
				continue
			}
			if v < 0 {
				if !isBlank(c) && c != '\r' {
					defect = "base64_broken"
				}
				continue
			}
			ended = false
			acc, bits = acc<<6|uint32(v), bits+6
			if bits >= 8 {
				bits -= 8
				out = append(out, byte(acc>>bits))
			}
		}
	}
	if defect == "" && !ended {
		defect = "base64_unpadded"
	}
	return out, defect
}

// isBase64Line tells a line that can go on after padding: whole quanta.
func isBase64Line(line []byte) bool {
	line = bytes.TrimRight(line, " \t")
	if len(line) == 0 || len(line)%4 != 0 {
		return false
	}
	for _, c := range line {
		if !isBase64(c) && c != '=' {
			return false
		}
	}
	return true
}

// hasGap tells a line of words, as the footer of a mailing list has them.
func hasGap(line []byte) bool {
	line = bytes.TrimSpace(line)
	gap := bytes.IndexByte(line, ' ')
	return gap > 0 && (gap%4 != 0 || (len(line)-gap-1)%4 != 0)
}

func isBase64(c byte) bool { return base64Value(c) >= 0 }

func base64Value(c byte) int {
	switch {
	case c >= 'A' && c <= 'Z':
		return int(c - 'A')
	case c >= 'a' && c <= 'z':
		return int(c-'a') + 26
	case c >= '0' && c <= '9':
		return int(c-'0') + 52
	case c == '+' || c == '-':
		return 62
	case c == '/' || c == '_':
		return 63
	}
	return -1
}

// appendBase64 appends what the characters of s give, whatever else is there.
func appendBase64(dst []byte, s string) []byte {
	var acc uint32
	bits := 0
	for i := 0; i < len(s); i++ {
		v := base64Value(s[i])
		if s[i] == '=' {
			acc, bits = 0, 0
		}
		if v < 0 {
			continue
		}
		acc, bits = acc<<6|uint32(v), bits+6
		if bits >= 8 {
			bits -= 8
			dst = append(dst, byte(acc>>bits))
		}
	}
	return dst
}

// decodeQuotedPrintable reads a body (RFC 2045, 6.7). An = that encodes nothing
// stays; blanks at the end of a line go, as transport may have added them.
func decodeQuotedPrintable(b []byte) []byte {
	if bytes.IndexByte(b, '=') < 0 {
		return b
	}
	out := make([]byte, 0, len(b))
	for len(b) > 0 {
		line, end := b, 0
		if n := bytes.IndexByte(b, '\n'); n >= 0 {
			line, end = b[:n], 1
			if n > 0 && b[n-1] == '\r' {
				line, end = b[:n-1], 2
			}
		}
		lineEnd := b[len(line) : len(line)+end]
		b = b[len(line)+end:]
		line = bytes.TrimRight(line, " \t")
		if len(line) > 0 && line[len(line)-1] == '=' {
			line, lineEnd = line[:len(line)-1], nil
		}
		out = append(appendQP(out, line), lineEnd...)
	}
	return out
}

func appendQP(out, line []byte) []byte {
	for {
		eq := bytes.IndexByte(line, '=')
		if eq < 0 {
			return append(out, line...)
		}
		out = append(out, line[:eq]...)
		line = line[eq:]
		if len(line) >= 3 {
			if hi, lo := unhex(line[1]), unhex(line[2]); hi < 16 && lo < 16 {
				out = append(out, hi<<4|lo)
				line = line[3:]
				continue
			}
		}
		out = append(out, '=')
		line = line[1:]
	}
}

// decodeUU reads the first uuencoded file in b, and the name it goes by.
func decodeUU(b []byte) (name string, data []byte, ok bool) {
	begin := 0
	if !bytes.HasPrefix(b, []byte("begin ")) {
		begin = bytes.Index(b, []byte("\nbegin ")) + 1
		if begin == 0 {
			return "", nil, false
		}
	}
	line, pos := cutLine(b, begin)
	words := strings.SplitN(string(line), " ", 3)
	if len(words) < 3 || len(words[1]) < 3 || len(words[1]) > 4 || strings.Trim(words[1], "01234567") != "" {
		return "", nil, false
	}
	for pos < len(b) {
		line, pos = cutLine(b, pos)
		if len(line) == 0 || string(line) == "end" {
			break
		}
		data = appendUU(data, line)
	}
	return words[2], data, true
}

// appendUU decodes one line: a length character, then groups of four.
func appendUU(dst, line []byte) []byte {
	want := len(dst) + int((line[0]-32)&63)
	at := func(i int) byte {
		if i < len(line) {
			return (line[i] - 32) & 63
		}
		return 0
	}
	for i := 1; len(dst) < want; i += 4 {
		a, b, c, d := at(i), at(i+1), at(i+2), at(i+3)
		dst = append(dst, a<<2|b>>4, b<<4|c>>2, c<<6|d)
	}
	return dst[:want]
}
