package verify

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ticketgate/threading/message"
)

// corpus gives the folder of one project's mail, and skips where it isn't.
func corpus(t *testing.T, name string) string {
	t.Helper()
	root := os.Getenv("TICKETGATE_CORPUS")
	if root == "" {
		root = filepath.Join("..", "..", "..", "shared", "corpus")
	}
	dir := filepath.Join(root, name)
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("the corpus %s isn't here (TICKETGATE_CORPUS names its folder)", name)
	}
	return dir
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	if err := json.Unmarshal(readFile(t, path), into); err != nil {
		t.Fatal(path, err)
	}
}

// wire is a mail with CRLF.
func wire(raw []byte) []byte {
	raw = bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n"))
	return bytes.ReplaceAll(raw, []byte("\n"), []byte("\r\n"))
}

// tellReasons logs where a vector's outcome rests on more than the standard.
func tellReasons(t *testing.T, a Auth, clientPolicy bool) {
	t.Helper()
	if clientPolicy {
		t.Log("rests on a policy of that client, for fields that were added; ours is that a repeated field is no pass")
	}
	for _, d := range a.DKIM {
		switch {
		case d.Algorithm == "rsa-sha1":
			t.Logf("%s: rests on SHA-1: %s (%s)", d.Selector, d.Result, d.Reason)
		case strings.Contains(d.Reason, "too short"):
			t.Logf("%s: rests on a key that is too short: %s", d.Selector, d.Result)
		case strings.Contains(d.Reason, "weak"):
			t.Logf("%s: rests on a short key that still counts: %s (%s)", d.Selector, d.Result, d.Reason)
		}
	}
}

func TestCorpusLieser(t *testing.T) {
	dir := corpus(t, "lieser+dkim_verifier")
	var dns struct {
		Cases []struct{ Name, Txt string }
	}
	readJSON(t, filepath.Join(dir, "_expect", "dns_txt.json"), &dns)
	var expect struct {
		Cases []struct {
			Test, File  string
			DNSOverride map[string]string `json:"dns_override"`
			Policy      bool              `json:"thunderbird_policy"`
			Signatures  []struct{ Result, SDID, Selector string }
		}
	}
	readJSON(t, filepath.Join(dir, "_expect", "verify.json"), &expect)
	for _, c := range expect.Cases {
		t.Run("K01 "+c.Test, func(t *testing.T) {
			z := usualZone()
			for _, r := range dns.Cases {
				z.with(r.Name, r.Txt)
			}
			for name, txt := range c.DNSOverride {
				z.with(name, txt)
			}
			raw := wire(readFile(t, filepath.Join(dir, c.File)))
			v := New(Options{Resolver: z, Now: func() time.Time { return noon }})
			a := v.Verify(t.Context(), Request{Raw: raw, Message: message.Parse(raw)})
			if len(a.DKIM) < len(c.Signatures) { // the list may name the first ones only
				t.Fatalf("%d signatures, want at least %d", len(a.DKIM), len(c.Signatures))
			}
			tellReasons(t, a, c.Policy)
			passes := map[string]int{}
			for _, d := range a.DKIM {
				if d.Result == resultPass {
					passes[d.Selector]++
				}
			}
			for _, s := range c.Signatures {
				if want := s.Result == "SUCCESS"; (passes[s.Selector] > 0 || s.Selector == "" && len(passes) > 0) != want {
					t.Errorf("%+v, want %s", a.DKIM, s.Result)
				}
			}
		})
	}
}

func TestCorpusMailAuth(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(corpus(t, "stalwartlabs+mail-auth"), "resources", "dkim", "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatal("no files", err)
	}
	for _, file := range files {
		t.Run("K01 "+filepath.Base(file), func(t *testing.T) {
			records, mail, ok := bytes.Cut(wire(readFile(t, file)), []byte("\r\n\r\n"))
			if !ok {
				t.Fatal("no mail behind the records")
			}
			z := usualZone()
			for line := range strings.SplitSeq(string(records), "\r\n") {
				if name, txt, ok := strings.Cut(line, " "); ok {
					z.with(strings.TrimSuffix(name, "."), txt)
				}
			}
			v := New(Options{Resolver: z, Now: func() time.Time { return time.Unix(1667843664, 0) }})
			a := v.Verify(t.Context(), Request{Raw: mail, Message: message.Parse(mail)})
			tellReasons(t, a, false)
			for _, d := range a.DKIM {
				if d.Result != resultPass {
					t.Errorf("%+v", d)
				}
			}
			if len(a.DKIM) == 0 {
				t.Error("no signature")
			}
		})
	}
}

// The vectors give the whole canonical form: each header field, CRLF, and the
// body, whose hash is compared.
func TestCorpusFlanker(t *testing.T) {
	dir := corpus(t, "mailgun+flanker")
	var expect struct {
		Cases []struct{ File, Simple, Relaxed, Purpose string }
	}
	readJSON(t, filepath.Join(dir, "_expect", "dkim_canonicalization.json"), &expect)
	for _, c := range expect.Cases {
		for _, form := range []struct {
			name, file string
			relaxed    bool
		}{{"simple", c.Simple, false}, {"relaxed", c.Relaxed, true}} {
			t.Run("K13 "+form.name+" "+c.Purpose, func(t *testing.T) {
				if form.relaxed && strings.HasSuffix(c.File, "email.24") {
					t.Skip("the vector keeps the blanks of a last line that has no CRLF, as no mail over SMTP ends; RFC 6376 and go-msgauth drop them")
				}
				want := wire(readFile(t, filepath.Join(dir, form.file)))
				m := cut(wire(readFile(t, filepath.Join(dir, c.File))))
				var head []byte
				for _, f := range m.fields {
					head = canonicalHeader(form.relaxed, head, f.raw)
				}
				head = append(head, crlf...)
				body, ok := bytes.CutPrefix(want, head)
				if !ok {
					t.Fatalf("header %q\nwant %q", head, want)
				}
				hasher := bodyHasher{body: m.body}
				got, err := hasher.sum(t.Context(), form.relaxed)
				if sum := sha256.Sum256(body); err != nil || !bytes.Equal(got, sum[:]) {
					t.Errorf("the hash is not that of %q", body)
				}
			})
		}
	}
}
