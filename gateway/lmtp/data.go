package lmtp

import (
	"bufio"
	"errors"
	"time"
)

// graceForRate is how long a message may take before its rate counts.
const graceForRate = time.Minute

// receive reads one message into spool, up to the line that ends it, and then
// leaves a lone dot for go-smtp to find. It returns an error only when the
// transfer has no proper end; the connection is over then.
func (c *conn) receive(spool *Spool) error {
	if err := c.flush(); err != nil {
		return err
	}
	c.deadline = c.dataDeadline(time.Now(), c.got)
	if err := readData(c.in, spool); err != nil {
		return err
	}
	c.spent, c.errors = 0, 0
	c.rest = []byte(".\r\n")
	return nil
}

// dataDeadline bounds each read of a message that began at start: by a pause, by
// its whole time, and by what it should have come to at the least rate.
func (c *conn) dataDeadline(start time.Time, before int64) func() time.Time {
	opt := c.srv.opt
	return func() time.Time {
		pause := time.Now().Add(opt.DataTimeout)
		whole := start.Add(opt.MessageTimeout)
		due := time.Duration(float64(c.got-before) / float64(opt.MinRate) * float64(time.Second))
		rate := start.Add(graceForRate + due)
		return earliest(pause, whole, rate)
	}
}

func earliest(first time.Time, others ...time.Time) time.Time {
	for _, t := range others {
		if t.Before(first) {
			first = t
		}
	}
	return first
}

// readData reads a message as RFC 5321, 4.1.1.4 and 4.5.2 have it: it ends at
// CRLF "." CRLF and at nothing else, and a dot at the start of a line was added
// for the transfer. A line starts after CRLF; a bare LF or CR is content like
// any other octet, so that no two servers can differ about where the message
// ends. Lines may be of any length.
func readData(in *bufio.Reader, spool *Spool) error {
	atStart, afterCR := true, false
	for {
		chunk, err := in.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
		if atStart && len(chunk) > 0 && chunk[0] == '.' {
			if string(chunk) == ".\r\n" {
				spool.finish()
				return nil
			}
			chunk = chunk[1:]
		}
		atStart = endsLine(chunk, afterCR)
		afterCR = len(chunk) > 0 && chunk[len(chunk)-1] == '\r'
		spool.write(chunk)
	}
}

// endsLine says whether chunk ends in CRLF, where its CR may have been the last
// octet of the chunk before.
func endsLine(chunk []byte, afterCR bool) bool {
	n := len(chunk)
	switch {
	case n == 0 || chunk[n-1] != '\n':
		return false
	case n == 1:
		return afterCR
	default:
		return chunk[n-2] == '\r'
	}
}
