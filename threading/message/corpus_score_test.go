package message

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func readFile(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func readJSON(t testing.TB, path string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(readFile(t, path)), into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// squeeze compares texts but for their blanks.
func squeeze(s string) string { return strings.Join(strings.Fields(s), " ") }

func TestCorpusRepliesDiscourse(t *testing.T) {
	dir := filepath.Join(corpusDir(t), "discourse+email_reply_trimmer", "test")
	files, _ := filepath.Glob(filepath.Join(dir, "emails", "*.txt"))
	right := 0
	for _, f := range files {
		got := replyText(newlines(readFile(t, f)))
		want := readFile(t, filepath.Join(dir, "trimmed", filepath.Base(f)))
		if squeeze(got) == squeeze(want) {
			right++
		} else {
			t.Logf("%s:\n got %.300q\nwant %.300q", filepath.Base(f), got, want)
		}
	}
	t.Logf("%d of %d as expected", right, len(files))
	if right < 30 {
		t.Errorf("only %d of %d replies as expected", right, len(files))
	}
}

func TestCorpusRepliesCrisp(t *testing.T) {
	dir := filepath.Join(corpusDir(t), "crisp-oss+email-reply-parser")
	var set struct {
		Cases []struct {
			Test, File string
			First      *string `json:"first_fragment"`
			Visible    *string `json:"visible_text"`
		}
	}
	readJSON(t, filepath.Join(dir, "_expect", "fragments.json"), &set)
	right, all := 0, 0
	for _, c := range set.Cases {
		if c.First == nil && c.Visible == nil {
			continue
		}
		all++
		got := replyText(newlines(readFile(t, filepath.Join(dir, c.File))))
		if c.Visible != nil && squeeze(got) == squeeze(*c.Visible) || c.First != nil && squeeze(got) == squeeze(*c.First) {
			right++
			continue
		}
		want := c.Visible
		if want == nil {
			want = c.First
		}
		t.Logf("%s:\n got %.300q\nwant %.300q", c.File, got, *want)
	}
	t.Logf("%d of %d as expected", right, all)
	if right < 49 {
		t.Errorf("only %d of %d replies as expected", right, all)
	}
}
