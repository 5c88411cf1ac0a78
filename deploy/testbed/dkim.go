package testbed

import (
	"bytes"
	_ "embed" // the verifier
	"encoding/json"
	"os/exec"
	"testing"
)

// DKIMResult is what an independent verifier says of one signature.
type DKIMResult struct {
	Domain    string `json:"domain"`
	Selector  string `json:"selector"`
	Algorithm string `json:"algorithm"`
	Pass      bool   `json:"pass"`
	Reason    string `json:"reason"` // why it does not pass; empty if it does
}

//go:embed verify_dkim.py
var dkimVerifier string

// VerifyDKIM checks every DKIM signature of a message, from the top one down, by Debian's
// python3-dkim. The keys are TXT records by name, as DNSServer.TXT gives them; the network
// is not asked. A message without a signature has no result.
func VerifyDKIM(tb testing.TB, raw []byte, txt map[string]string) []DKIMResult {
	tb.Helper()
	// Not the first python3 in PATH: Debian's modules belong to Debian's own.
	const python = "/usr/bin/python3"
	if exec.Command(python, "-I", "-c", "import dkim, nacl").Run() != nil {
		missing(tb, "no python3-dkim (with python3-nacl) here"+install)
	}
	input, err := json.Marshal(map[string]any{"raw": raw, "txt": txt})
	if err != nil {
		tb.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd := exec.Command(python, "-I", "-c", dkimVerifier)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(input), &stderr
	output, err := cmd.Output()
	if err != nil {
		tb.Fatalf("python3-dkim: %v\n%s", err, stderr.String())
	}
	var results []DKIMResult
	if err := json.Unmarshal(output, &results); err != nil {
		tb.Fatalf("python3-dkim: %v in %q", err, output)
	}
	return results
}
