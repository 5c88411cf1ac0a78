package message

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// corpusDir is where mail that nobody here wrote lies: the folder that
// TICKETGATE_CORPUS names, else corpus in the folder shared beside the project.
func corpusDir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("TICKETGATE_CORPUS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "corpus")
	}
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the corpus is not here (%s); TICKETGATE_CORPUS names another folder", dir)
	}
	return dir
}

// corpusMails are all files of the corpus that hold a mail.
func corpusMails(t testing.TB) []string {
	t.Helper()
	var files []string
	err := filepath.WalkDir(corpusDir(t), func(path string, d os.DirEntry, err error) error {
		ext := strings.ToLower(filepath.Ext(path))
		if err == nil && !d.IsDir() && (ext == ".eml" || ext == ".msg" || ext == ".raw") {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(files) < 100 {
		t.Fatalf("only %d mails in the corpus", len(files))
	}
	return files
}

// checkSafe holds what is true of every Message.
func checkSafe(t testing.TB, m *Message) {
	t.Helper()
	check := func(what, s string) {
		if !utf8.ValidString(s) || strings.IndexByte(s, 0) >= 0 {
			t.Errorf("%s is not clean: %.80q", what, s)
		}
	}
	line := func(what, s string) {
		check(what, s)
		if strings.ContainsFunc(s, func(r rune) bool { return isHidden(r) && !isJoiner(r) }) {
			t.Errorf("%s holds hidden characters: %.80q", what, s)
		}
	}
	check("Text", m.Text)
	check("HTML", m.HTML)
	check("ReplyText", m.ReplyText)
	line("Subject", m.Subject)
	line("MessageID", m.MessageID)
	for _, id := range append(append([]string{}, m.InReplyTo...), m.References...) {
		line("id", id)
	}
	for _, list := range [][]Address{m.From, m.Sender, m.ReplyTo, m.To, m.Cc} {
		for _, a := range list {
			line("name", a.Name)
			line("address", a.String())
		}
	}
	for _, a := range m.Attachments {
		line("attachment name", a.Name)
		line("attachment type", a.Type)
		line("content id", a.ContentID)
		if a.Name == "" || len(a.Name) > maxNameBytes || strings.ContainsAny(a.Name, `/\`) || a.Size != len(a.Data) {
			t.Errorf("attachment %q of %d octets, %d of data", a.Name, a.Size, len(a.Data))
		}
	}
	for _, d := range m.Defects {
		line("defect", d)
	}
	if len(m.Text) > maxTextBytes || len(m.HTML) > maxTextBytes || len(m.Defects) > maxDefects {
		t.Errorf("out of bounds: %d of text, %d of HTML, %d defects", len(m.Text), len(m.HTML), len(m.Defects))
	}
	if m.Bounce != nil {
		for _, r := range m.Bounce.Recipients {
			line("bounce", r.Address+r.Action+r.Status+r.Text)
		}
	}
}

func TestCorpusIsReadWhole(t *testing.T) {
	shown := 0
	files := corpusMails(t)
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		m := Parse(raw)
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%s took %v", file, took)
		}
		checkSafe(t, m)
		if again := SanitizeHTML(m.HTML); again != m.HTML {
			t.Errorf("%s: sanitising twice changes it", file)
		}
		switch {
		case !blank(m.Text), len(m.Attachments) > 0:
			shown++
		default:
			t.Logf("nothing to show: %s (%d octets)", filepath.Base(file), len(raw))
		}
	}
	t.Logf("%d of %d mails show text or attachments", shown, len(files))
	if shown*100 < len(files)*95 {
		t.Errorf("only %d of %d mails show anything", shown, len(files))
	}
}
