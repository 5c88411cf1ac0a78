package outbound

import (
	"bytes"
	"io"
	"mime"
	"mime/multipart"
	"net/mail"
	"net/textproto"
	"strings"
	"testing"
)

// shape writes the MIME tree of a message as mixed(plain pdf).
func shape(t testing.TB, raw []byte) string {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	return partShape(t, textproto.MIMEHeader(m.Header), m.Body)
}

func partShape(t testing.TB, h textproto.MIMEHeader, body io.Reader) string {
	t.Helper()
	mediaType, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		t.Fatalf("%q: %v", h.Get("Content-Type"), err)
	}
	_, sub, _ := strings.Cut(mediaType, "/")
	if params["boundary"] == "" {
		return sub
	}
	var parts []string
	for r := multipart.NewReader(body, params["boundary"]); ; {
		p, err := r.NextRawPart()
		if err == io.EOF {
			return sub + "(" + strings.Join(parts, " ") + ")"
		}
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, partShape(t, p.Header, p))
	}
}
