package message

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the expected JSON anew")

// golden is what a mail of testdata should give; it reads as explain does.
type golden struct {
	Subject     string             `json:"subject"`
	From        []goldenAddress    `json:"from"`
	Author      string             `json:"author,omitempty"`
	ReplyTo     []goldenAddress    `json:"reply_to,omitempty"`
	To          []goldenAddress    `json:"to,omitempty"`
	Cc          []goldenAddress    `json:"cc,omitempty"`
	Date        string             `json:"date,omitempty"`
	MessageID   string             `json:"message_id"`
	InReplyTo   []string           `json:"in_reply_to,omitempty"`
	References  []string           `json:"references,omitempty"`
	Text        string             `json:"text"`
	ReplyText   string             `json:"reply_text,omitempty"`
	HTML        string             `json:"html,omitempty"`
	Attachments []goldenAttachment `json:"attachments,omitempty"`
	Defects     []string           `json:"defects,omitempty"`
	Duplicated  []string           `json:"duplicated,omitempty"`
	Excess      string             `json:"excess,omitempty"`
	Automatic   *Automatic         `json:"automatic,omitempty"`
	Bounce      *Bounce            `json:"bounce,omitempty"`
}

type goldenAddress struct {
	Name    string `json:"name,omitempty"`
	Address string `json:"address"`
	Marked  bool   `json:"name_holds_address,omitempty"`
}

type goldenAttachment struct {
	Name      string `json:"name"`
	Type      string `json:"type"`
	Size      int    `json:"size"`
	SHA256    string `json:"sha256"`
	Inline    bool   `json:"inline,omitempty"`
	ContentID string `json:"content_id,omitempty"`
}

func goldenOf(m *Message) golden {
	g := golden{
		Subject: m.Subject, From: goldenAddresses(m.From), ReplyTo: goldenAddresses(m.ReplyTo), To: goldenAddresses(m.To),
		Cc: goldenAddresses(m.Cc), MessageID: m.MessageID, InReplyTo: m.InReplyTo, References: m.References,
		Text: m.Text, HTML: m.HTML, Defects: m.Defects, Duplicated: m.Duplicated, Excess: m.Excess, Bounce: m.Bounce,
	}
	if a, ok := m.Author(); ok {
		g.Author = a.String()
	}
	if !m.Date.IsZero() {
		g.Date = m.Date.Format(time.RFC3339)
	}
	if m.ReplyText != m.Text {
		g.ReplyText = m.ReplyText
	}
	if m.Automatic.Is {
		g.Automatic = &m.Automatic
	}
	for _, a := range m.Attachments {
		g.Attachments = append(g.Attachments, goldenAttachment{a.Name, a.Type, a.Size, a.SHA256, a.Inline, a.ContentID})
	}
	return g
}

func goldenAddresses(list []Address) []goldenAddress {
	var out []goldenAddress
	for _, a := range list {
		out = append(out, goldenAddress{a.Name, a.String(), a.NameHoldsAddress})
	}
	return out
}

// TestGolden reads each mail of testdata as it lies there and with CRLF, and
// holds both against the JSON beside it.
func TestGolden(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.eml"))
	if err != nil || len(files) == 0 {
		t.Fatal("no mails in testdata", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".eml"), func(t *testing.T) {
			raw := strings.ReplaceAll(readFile(t, file), "\r\n", "\n")
			m := Parse([]byte(raw))
			checkSafe(t, m)
			got := goldenOf(m)
			path := strings.TrimSuffix(file, ".eml") + ".json"
			if *update {
				b, err := json.MarshalIndent(got, "", "  ")
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			var want golden
			readJSON(t, path, &want)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
			wire := goldenOf(Parse([]byte(strings.ReplaceAll(raw, "\n", "\r\n"))))
			for i := range wire.Attachments { // text attachments keep their line ends
				wire.Attachments[i].Size, wire.Attachments[i].SHA256 = got.Attachments[i].Size, got.Attachments[i].SHA256
			}
			if diff := cmp.Diff(want, wire); diff != "" {
				t.Error("with CRLF:", diff)
			}
		})
	}
}
