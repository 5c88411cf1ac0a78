package api_test

import (
	"bytes"
	"context"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ticketgate/gateway/api"
)

// A client is generated from the description, as a stranger would do it, and
// used against the real handler. testdata/client is the program that uses it.
func TestAGeneratedClientWorks(t *testing.T) {
	f := newFixture(t)
	server := httptest.NewServer(f.handler)
	defer server.Close()
	dir := t.TempDir()
	f.must(os.CopyFS(dir, os.DirFS("testdata/client")))
	f.must(os.WriteFile(filepath.Join(dir, "openapi.json"), f.do("nobody", "GET", "/openapi-3.0.json", nil).is(200).Body.Bytes(), 0o600))
	f.must(os.Mkdir(filepath.Join(dir, "desk"), 0o700))
	f.runIn(dir, "tool", "oapi-codegen", "-generate", "types,client", "-package", "desk", "-o", "desk/desk.go", "openapi.json")
	number := f.runIn(dir, "run", ".", "DESK_URL="+server.URL+api.Prefix, "DESK_TOKEN="+f.tokens["admin"])
	if subject := f.do("admin", "GET", "/tickets/"+number, nil).is(200).text("subject"); subject != "By a generated client" {
		t.Errorf("ticket %s is %q", number, subject)
	}
}

// runIn runs the go command in a module and gives what it prints. Arguments in
// the form NAME=value are its environment.
func (f *fixture) runIn(dir string, args ...string) string {
	f.t.Helper()
	var words, environ []string
	for _, arg := range args {
		if name, _, ok := strings.Cut(arg, "="); ok && strings.ToUpper(name) == name {
			environ = append(environ, arg)
		} else {
			words = append(words, arg)
		}
	}
	var out, complaints bytes.Buffer
	command := exec.CommandContext(context.WithoutCancel(f.ctx), "go", words...)
	command.Dir, command.Stdout, command.Stderr = dir, &out, &complaints
	// Not with the flags of this test's own build: neither tool nor client is measured or raced.
	command.Env = append(os.Environ(), append(environ, "GOFLAGS=", "GOWORK=off")...)
	if err := command.Run(); err != nil {
		f.t.Fatalf("go %v: %v\n%s", words, err, complaints.String())
	}
	return strings.TrimSpace(out.String())
}
