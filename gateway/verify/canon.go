package verify

import (
	"bytes"
	"context"
	"crypto/sha256"
	"hash"
	"strings"
)

// The canonicalisations of RFC 6376, 3.4. Both take bare line feeds for line
// ends, since the form with CRLF is the one that was signed.

const crlf = "\r\n"

// simpleHeader is RFC 6376, 3.4.1: the field as it is.
func simpleHeader(dst, raw []byte) []byte {
	for i, c := range raw {
		if c == '\n' && (i == 0 || raw[i-1] != '\r') {
			dst = append(dst, '\r')
		}
		dst = append(dst, c)
	}
	if !bytes.HasSuffix(raw, []byte("\n")) {
		dst = append(dst, crlf...)
	}
	return dst
}

// relaxedHeader is RFC 6376, 3.4.2: name in lower case, unfolded, runs of
// blanks made one, none around the colon and at the end.
func relaxedHeader(dst, raw []byte) []byte {
	name, value, _ := bytes.Cut(raw, []byte{':'})
	dst = append(dst, lowerName(name)...)
	dst = append(dst, ':')
	begun, gap := false, false
	for _, c := range value {
		if c == ' ' || c == '\t' || c == '\r' || c == '\n' {
			gap = begun
			continue
		}
		if gap {
			dst = append(dst, ' ')
			gap = false
		}
		begun = true
		dst = append(dst, c)
	}
	return append(dst, crlf...)
}

func canonicalHeader(relaxed bool, dst, raw []byte) []byte {
	if relaxed {
		return relaxedHeader(dst, raw)
	}
	return simpleHeader(dst, raw)
}

// bodyHasher hashes one message's body, at most once for each canonicalisation.
type bodyHasher struct {
	body []byte
	sums [2][]byte
}

// sum gives the SHA-256 of the canonical body. It fails only with ctx.
func (b *bodyHasher) sum(ctx context.Context, relaxed bool) ([]byte, error) {
	slot := 0
	if relaxed {
		slot = 1
	}
	if b.sums[slot] == nil {
		w := bodyWriter{hash: sha256.New(), relaxed: relaxed}
		if err := w.write(ctx, b.body); err != nil {
			return nil, err
		}
		b.sums[slot] = w.hash.Sum(nil)
	}
	return b.sums[slot], nil
}

// bodyWriter canonicalises into a hash through one small buffer, line by line,
// so that time is linear and memory constant whatever the body holds.
type bodyWriter struct {
	hash    hash.Hash
	relaxed bool
	empty   int  // empty lines that wait for a line after them
	written bool // a line went out
	buf     []byte
}

// askEvery is after how many octets write looks whether time is up.
const askEvery = 1 << 20

func (w *bodyWriter) write(ctx context.Context, body []byte) error {
	w.buf = make([]byte, 0, 4<<10)
	asked := 0
	for pos := 0; pos < len(body); {
		end := lineEnd(body, pos)
		w.line(trimLineEnd(body[pos:end]))
		pos = end
		if pos-asked > askEvery {
			asked = pos
			if err := ctx.Err(); err != nil {
				return err
			}
		}
	}
	// An empty body is CRLF for simple and nothing for relaxed.
	if !w.relaxed && !w.written {
		w.hash.Write([]byte(crlf))
	}
	w.hash.Write(w.buf)
	return nil
}

// line takes one line without its end. Empty lines are held back: those at the
// end of the body don't count.
func (w *bodyWriter) line(text []byte) {
	if w.relaxed {
		text = bytes.TrimRight(text, " \t")
	}
	if len(text) == 0 {
		w.empty++
		return
	}
	for ; w.empty > 0; w.empty-- {
		w.put(crlf)
	}
	w.written = true
	if w.relaxed && hasRun(text) {
		w.putReduced(text)
	} else {
		w.putBytes(text)
	}
	w.put(crlf)
}

func (w *bodyWriter) put(s string) {
	if len(w.buf)+len(s) > cap(w.buf) {
		w.flush()
	}
	w.buf = append(w.buf, s...)
}

func (w *bodyWriter) putBytes(b []byte) {
	if len(w.buf)+len(b) > cap(w.buf) {
		w.flush()
	}
	if len(b) > cap(w.buf) {
		w.hash.Write(b)
		return
	}
	w.buf = append(w.buf, b...)
}

// putReduced writes text with each run of blanks made one space.
func (w *bodyWriter) putReduced(text []byte) {
	for i, c := range text {
		if isBlank(c) {
			if i > 0 && isBlank(text[i-1]) {
				continue
			}
			c = ' '
		}
		if len(w.buf) == cap(w.buf) {
			w.flush()
		}
		w.buf = append(w.buf, c)
	}
}

func (w *bodyWriter) flush() {
	w.hash.Write(w.buf)
	w.buf = w.buf[:0]
}

// hasRun tells that relaxed canonicalisation changes the inside of a line.
func hasRun(text []byte) bool {
	return bytes.IndexByte(text, '\t') >= 0 || bytes.Contains(text, []byte("  "))
}

// trimLineEnd takes a line feed and the carriage return before it off; a
// carriage return without line feed is text.
func trimLineEnd(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
		if n > 1 && line[n-2] == '\r' {
			line = line[:n-2]
		}
	}
	return line
}

// squeeze takes all white space out, as the values of tags allow it anywhere
// (RFC 6376, 3.2, for d=, s=, h=, b= and bh=).
func squeeze(s string) string {
	if !strings.ContainsAny(s, " \t\r\n") {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '\t' || r == '\r' || r == '\n' {
			return -1
		}
		return r
	}, s)
}
