package message

import (
	"strings"
	"testing"
)

func TestParseHeader(t *testing.T) {
	for _, c := range []struct {
		name, in string
		want     []string // Name=Value
		body     string
	}{
		{"CRLF", "A: 1\r\nB: 2\r\n\r\nbody", []string{"A=1", "B=2"}, "body"},
		{"LF", "A: 1\nB: 2\n\nbody", []string{"A=1", "B=2"}, "body"},
		{"folded", "A: 1\r\n\t2\r\n 3\r\n\r\n", []string{"A=1\t2 3"}, ""},
		{"blank before the colon", "From : x\r\nFrom: y\r\n\r\n", []string{"From=x", "From=y"}, ""},
		{"a bad line in between", "A: 1\r\nnonsense\r\nB: 2\r\n\r\nbody", []string{"A=1", "B=2"}, "body"},
		{"mbox line", "From a@b Mon Jan  1 00:00:00 2024\r\nA: 1\r\n\r\nbody", []string{"A=1"}, "body"},
		{"escaped mbox line", ">From a@b Mon\r\nA: 1\r\n\r\nbody", []string{"A=1"}, "body"},
		{"no blank line", "A: 1\r\nHello you\r\nthere", []string{"A=1"}, "Hello you\r\nthere"},
		{"folded name", "From\r\n : x\r\n\r\nbody", nil, "From\r\n : x\r\n\r\nbody"},
		{"M10 blank first line", "\r\nbody", nil, "body"},
		{"M10 nothing", "", nil, ""},
		{"M10 only a header", "A: 1", []string{"A=1"}, ""},
		{"8-bit name", "A: 1\r\nS\xfcbject: x\r\nB: 2\r\n\r\n", []string{"A=1", "B=2"}, ""},
		{"empty value", "A:\r\nB: \r\n\r\n", []string{"A=", "B="}, ""},
		{"fold after the colon", "A:\r\n x\r\n\r\n", []string{"A=x"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			h, body := ParseHeader([]byte(c.in))
			var got []string
			for _, f := range h.Fields {
				got = append(got, f.Name+"="+f.Value)
			}
			if strings.Join(got, "\n") != strings.Join(c.want, "\n") || c.in[body:] != c.body {
				t.Errorf("got %q and body %q", got, c.in[body:])
			}
		})
	}
}

func TestHeaderLowestCounts(t *testing.T) {
	h, _ := ParseHeader([]byte("From: top\r\nX: 1\r\nfrom: low\r\n\r\n"))
	if h.Get("FROM") != "low" || h.Count("From") != 2 || strings.Join(h.Values("From"), ",") != "top,low" {
		t.Errorf("%q %d %q", h.Get("From"), h.Count("From"), h.Values("From"))
	}
}
