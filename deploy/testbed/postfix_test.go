package testbed

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestPostfixCarriesMailInAndOut(t *testing.T) {
	for _, chroot := range []bool{false, true} {
		t.Run(map[bool]string{false: "plain", true: "chroot"}[chroot], func(t *testing.T) {
			out := SMTPSink(t, SinkOptions{})
			in := SMTPSink(t, SinkOptions{LMTP: true})
			server := Postfix(t, PostfixOptions{
				LMTP:    "lmtp:inet:" + in.Addr(),
				NextHop: "smtp:[127.0.0.1]:" + port(out.Addr()),
				Chroot:  chroot,
			})
			long := strings.Repeat("x", 3000)
			message := "Subject: y\r\n\r\n" + long + "\r\n"
			err := sendText(server.Addr(), message, "support+t1@tickets.example", "c@example.net")
			if err != nil {
				t.Fatal(err)
			}

			came := in.Wait(1, 30*time.Second)[0]
			if len(came.To) != 1 || came.To[0] != "support+t1@tickets.example" || !strings.Contains(string(came.Data), long+"\r\n") {
				t.Errorf("by LMTP came %+v", came)
			}
			left := out.Wait(1, 30*time.Second)[0]
			if len(left.To) != 1 || left.To[0] != "c@example.net" {
				t.Errorf("out went %+v", left)
			}
			server.WaitLog(`postfix/ticketgate/lmtp.*status=sent`, 30*time.Second)
		})
	}
}

func TestPostfixTriesAgainOverAUnixSocket(t *testing.T) {
	server := Postfix(t, PostfixOptions{
		LMTP:         "unix:private/ticketgate-lmtp",
		RelayDomains: []string{"one.example", "two.example"},
		Chroot:       true,
		Main:         []string{"message_size_limit = 1000"},
	})
	in := SMTPSink(t, SinkOptions{LMTP: true, Socket: filepath.Join(server.SocketDir(), "ticketgate-lmtp")})
	in.Script(Rule{At: AtDot, Reply: "451 4.3.0 later"})

	if err := send(server.Addr(), "x@two.example"); err != nil {
		t.Fatal(err)
	}
	server.WaitLog("status=deferred.*451 4.3.0 later", 30*time.Second)
	if queue := server.Queue(); !strings.Contains(queue, "x@two.example") {
		t.Errorf("in the queue: %q", queue)
	}
	in.Clear()
	server.Flush()
	in.Wait(1, 30*time.Second)

	big := "Subject: x\r\n\r\n" + strings.Repeat("x\r\n", 1000)
	if err := sendText(server.Addr(), big, "x@one.example"); code(err) != 552 {
		t.Errorf("over the size of the option: %v", err)
	}
	server.Set("message_size_limit=100000")
	server.Stop()
	server.Start()
	if err := sendText(server.Addr(), big, "x@one.example"); err != nil {
		t.Errorf("after Set: %v", err)
	}
	in.Wait(2, 30*time.Second)
}

// TestPostfixTakesTheDocumentedLines holds the files of deploy/postfix.
func TestPostfixTakesTheDocumentedLines(t *testing.T) {
	server := Postfix(t, PostfixOptions{Main: settings(t, "../postfix/main.cf")})
	service := server.Run("postconf", "-P", "ticketgate/unix/*")
	for _, option := range settings(t, "../postfix/master.cf") {
		name, value, _ := strings.Cut(strings.TrimPrefix(option, "-o "), "=")
		if !strings.Contains(service, "/"+name+" = "+value+"\n") {
			t.Errorf("the private Postfix lacks %q of master.cf:\n%s", option, service)
		}
	}
	if said := server.Run("postconf", "-n"); strings.Contains(said, "warning") {
		t.Error(said)
	}

	// Nobody answers the recipient map yet: known and unknown addresses may come again.
	if err := send(server.Addr(), "support@tickets.example"); code(err) != 451 {
		t.Errorf("without the recipient map: %v", err)
	}
	in := SMTPSink(t, SinkOptions{LMTP: true, Socket: filepath.Join(server.SocketDir(), "ticketgate-lmtp")})
	server.Set("relay_recipient_maps=")
	server.Stop() // a reload comes into force some time later
	server.Start()
	if err := send(server.Addr(), "support@tickets.example"); err != nil {
		t.Fatal(err)
	}
	in.Wait(1, 30*time.Second)
}

// settings are the lines of a configuration file that hold a "=", without comments.
func settings(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' && strings.Contains(line, "=") {
			found = append(found, line)
		}
	}
	return found
}

func port(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }
