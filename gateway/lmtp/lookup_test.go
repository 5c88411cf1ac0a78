package lmtp

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"ticketgate/deploy/testbed"
)

func startLookup(t *testing.T) *Lookup {
	t.Helper()
	l, err := StartLookup(t.Context(), []string{"127.0.0.1:0"}, (&memory{}).Recipient, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Stop(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func TestLookupAnswers(t *testing.T) {
	conn, err := net.Dial("tcp", startLookup(t).Addrs()[0].String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	for _, tt := range []struct{ request, want string }{
		{"recipients known@desk.example", "OK known@desk.example"},
		{"recipients known+token@desk.example", "OK known+token@desk.example"},
		{"recipients unknown@desk.example", "NOTFOUND "},
		{"recipients off@desk.example", "OK off@desk.example"},
		{"recipients nodesk@desk.example", "TEMP there is no mail account yet"},
		{"recipients rcptbug@desk.example", "TEMP trouble here"},
		{"recipients *", "NOTFOUND "},
		{"recipients @desk.example", "NOTFOUND "},
		{"other known@desk.example", "PERM there is no such map"},
		{"", "PERM there is no such map"},
	} {
		if _, err := fmt.Fprintf(conn, "%d:%s,", len(tt.request), tt.request); err != nil {
			t.Fatal(err)
		}
		if got, err := readNetstring(r); err != nil || got != tt.want {
			t.Errorf("%q: %q, %v; want %q", tt.request, got, err, tt.want)
		}
	}
}

func TestLookupClosesOnNonsense(t *testing.T) {
	addr := startLookup(t).Addrs()[0].String()
	for _, nonsense := range []string{"GET / HTTP/1.1\r\n\r\n", "99999:x", "3:abcd", ":,x", "999999999999999999999:"} {
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, nonsense); err != nil {
			t.Fatal(err)
		}
		got, _ := io.ReadAll(conn) // a reset is as good as an end
		if strings.Contains(string(got), "OK") {
			t.Errorf("%q was answered %q", nonsense, got)
		}
		conn.Close()
	}
}

func FuzzNetstring(f *testing.F) {
	f.Add("5:hello,")
	f.Add("0:,")
	f.Add("2001:,")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := readNetstring(bufio.NewReader(strings.NewReader(s)))
		if err == nil && !strings.Contains(s, got+",") {
			t.Errorf("%q gives %q", s, got)
		}
	})
}

// A real Postfix asks the map, and refuses an unknown address at RCPT.
func TestLookupBehindPostfix(t *testing.T) {
	l := startLookup(t)
	postfix := testbed.Postfix(t, testbed.PostfixOptions{
		LMTP: "inet:127.0.0.1:9", RelayDomains: []string{"desk.example"}, RecipientMaps: "socketmap:inet:" + l.Addrs()[0].String() + ":recipients",
	})
	conn, err := net.Dial("tcp", postfix.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	r := bufio.NewReader(conn)
	say := func(line string) string {
		t.Helper()
		if line != "" {
			if _, err := io.WriteString(conn, line+"\r\n"); err != nil {
				t.Fatal(err)
			}
		}
		reply, err := r.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return reply
	}
	say("")
	say("HELO client.example")
	say("MAIL FROM:<carla@ext.example>")
	for recipient, want := range map[string]string{"known+token@desk.example": "250", "unknown@desk.example": "550 5.1.1", "rcptbug@desk.example": "451 4.3.0"} {
		if got := say("RCPT TO:<" + recipient + ">"); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %s", recipient, got)
		}
	}
}
