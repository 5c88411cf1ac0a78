package api_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Over a real connection, with deadlines and a body that comes in pieces.
func TestFilesGoInAndOut(t *testing.T) {
	f := newFixture(t)
	server := httptest.NewServer(f.handler)
	defer server.Close()
	send := func(method, path string, body io.Reader) (*http.Response, []byte) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, body)
		f.must(err)
		req.Header.Set("Authorization", "Bearer "+f.tokens["standard"])
		req.Header.Set("Content-Type", "application/json")
		res, err := server.Client().Do(req)
		f.must(err)
		defer func() { f.must(res.Body.Close()) }()
		raw, err := io.ReadAll(res.Body)
		f.must(err)
		return res, raw
	}
	number, _ := f.mailIn(customersMail)
	content := bytes.Repeat([]byte("0123456789abcdef"), 3<<16) // 3 MiB
	path := "/api/v1" + f.ticketPath(number) + "/activities"
	body := `{"type":"note","text":"see the file","attachments":[{"name":"big.bin","content":"` + base64.StdEncoding.EncodeToString(content) + `"}]}`
	res, raw := send("POST", path, io.MultiReader(strings.NewReader(body[:10]), strings.NewReader(body[10:])))
	if res.StatusCode != 201 {
		t.Fatalf("%d %s", res.StatusCode, raw)
	}
	var made struct {
		ID          string
		Attachments []struct {
			ID, Name string
			Size     int
		}
	}
	f.must(json.Unmarshal(raw, &made))
	if len(made.Attachments) != 1 || made.Attachments[0].Size != len(content) {
		t.Fatalf("made: %s", raw)
	}
	res, raw = send("GET", path+"/"+made.ID+"/attachments/"+made.Attachments[0].ID, nil)
	if res.StatusCode != 200 || !bytes.Equal(raw, content) || res.Header.Get("Content-Disposition") != "attachment; filename=big.bin" {
		t.Errorf("%d %v, %d bytes", res.StatusCode, res.Header, len(raw))
	}
	if res, _ = send("HEAD", "/api/v1/me", nil); res.StatusCode != 200 {
		t.Errorf("HEAD: %d", res.StatusCode)
	}
}
