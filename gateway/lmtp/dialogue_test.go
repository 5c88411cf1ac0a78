package lmtp

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The dialogues in testdata/dialogues are held with a real server over TCP. A
// line begins with:
//
//	#   a remark
//	!   an option of the server, before anything else: protocol, max_message,
//	    max_recipients, spool_dir
//	C:  the client sends the line, with CRLF. Lines that follow one another go
//	    out in one write
//	C>  the client sends a quoted Go string, as it is
//	C*  the client sends a quoted Go string many times: C* 1000 "x"
//	S:  the server says the line; a * at its end stands for any rest
//	S.  the server closes the connection, and says nothing before
//	B:  what the backend has: "mails N", and about the last mail "to A B",
//	    "from A", "body QUOTED", "size N", "queue ID", "flags body8 utf8", "hello NAME"
//	B?  what the backend was asked at RCPT, in order
func TestDialogues(t *testing.T) {
	files, err := filepath.Glob("testdata/dialogues/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dialogues: %v", err)
	}
	for _, file := range files {
		for _, sip := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/sip=%v", strings.TrimSuffix(filepath.Base(file), ".txt"), sip), func(t *testing.T) {
				t.Parallel()
				runDialogue(t, file, sip)
			})
		}
	}
}

// dialogue is one conversation with a server.
type dialogue struct {
	t       *testing.T
	backend *memory
	nc      net.Conn
	in      *bufio.Reader
	pending []byte
	sip     bool // send and read octet by octet
}

func runDialogue(t *testing.T, file string, sip bool) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	opt := Options{SpoolDir: t.TempDir()}
	d := &dialogue{t: t, backend: &memory{}, sip: sip}
	for number, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		kind, rest, _ := strings.Cut(line, " ")
		if kind == "!" {
			setOption(t, &opt, rest)
			continue
		}
		if d.nc == nil {
			d.nc = dial(t, serve(t, opt, d.backend))
			d.in = bufio.NewReader(d.nc)
		}
		if err := d.step(kind, rest); err != nil {
			t.Fatalf("line %d: %s: %v", number+1, line, err)
		}
	}
}

func setOption(t *testing.T, opt *Options, line string) {
	name, value, _ := strings.Cut(line, " ")
	number, _ := strconv.Atoi(value) // 0 for the options that are words
	switch name {
	case "protocol":
		opt.Protocol = Protocol(value)
	case "max_message":
		opt.MaxMessageBytes = int64(number)
	case "max_recipients":
		opt.MaxRecipients = number
	case "spool_dir":
		opt.SpoolDir = value
	default:
		t.Fatalf("no such option: %s", name)
	}
}

func (d *dialogue) step(kind, rest string) error {
	switch kind {
	case "C:":
		d.pending = append(d.pending, rest+"\r\n"...)
		return nil
	case "C>":
		raw, err := strconv.Unquote(rest)
		d.pending = append(d.pending, raw...)
		return err
	case "C*":
		count, quoted, _ := strings.Cut(rest, " ")
		n, err := strconv.Atoi(count)
		raw, quoteErr := strconv.Unquote(quoted)
		d.pending = append(d.pending, strings.Repeat(raw, n)...)
		return errors.Join(err, quoteErr)
	}
	if err := d.send(); err != nil {
		return err
	}
	switch kind {
	case "S:":
		return d.expect(rest)
	case "S.":
		return d.expectClosed()
	case "B:":
		return d.check(rest)
	case "B?":
		if got := strings.Join(d.backend.asked, " "); got != rest {
			return fmt.Errorf("asked %q", got)
		}
		return nil
	}
	return fmt.Errorf("no such line")
}

// sipLimit keeps large messages from taking a write for each octet.
const sipLimit = 4096

func (d *dialogue) send() error {
	data := d.pending
	d.pending = nil
	if d.sip && len(data) <= sipLimit {
		for i := range data {
			if _, err := d.nc.Write(data[i : i+1]); err != nil {
				return err
			}
		}
		return nil
	}
	_, err := d.nc.Write(data)
	return err
}

func (d *dialogue) expect(want string) error {
	line, err := d.in.ReadString('\n')
	if err != nil {
		return fmt.Errorf("got %q, %w", line, err)
	}
	got, ok := strings.CutSuffix(line, "\r\n")
	if !ok {
		return fmt.Errorf("got %q without CRLF", line)
	}
	if prefix, any := strings.CutSuffix(want, "*"); any && strings.HasPrefix(got, prefix) || got == want {
		return nil
	}
	return fmt.Errorf("got %q", got)
}

func (d *dialogue) expectClosed() error {
	line, err := d.in.ReadString('\n')
	if line != "" || err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("not closed: %q, %v", line, err)
	}
	if !errors.Is(err, io.EOF) {
		d.t.Logf("closed with %v", err)
	}
	return nil
}

func (d *dialogue) check(line string) error {
	name, want, _ := strings.Cut(line, " ")
	mails := d.backend.kept()
	if name == "mails" {
		if got := strconv.Itoa(len(mails)); got != want {
			return fmt.Errorf("got %s", got)
		}
		return nil
	}
	if len(mails) == 0 {
		return errors.New("no mail")
	}
	last := mails[len(mails)-1]
	got := ""
	switch name {
	case "to":
		got = strings.Join(last.env.Recipients, " ")
	case "from":
		got = last.env.From
	case "body":
		got = strconv.Quote(last.body)
	case "size":
		got = strconv.Itoa(len(last.body))
	case "queue":
		got = last.env.XForward.Ident
	case "client":
		x := last.env.XForward
		got = strings.Join([]string{x.Addr, x.Name, x.Port, x.Proto, x.Helo, x.Source}, "|")
	case "flags":
		got = flags(last.env)
	case "hello":
		got = last.env.Hello
	default:
		return errors.New("no such check")
	}
	if got != want {
		return fmt.Errorf("got %s", got)
	}
	return nil
}

func flags(env Envelope) string {
	var words []string
	if env.Body8Bit {
		words = append(words, "body8")
	}
	if env.UTF8 {
		words = append(words, "utf8")
	}
	return strings.Join(words, " ")
}
