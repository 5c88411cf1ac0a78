// Package lmtp takes mail in over LMTP (RFC 2033), and over SMTP (RFC 5321)
// for servers that speak no LMTP.
//
// A message goes through these hands:
//
//	gate      accepts, lets in as many as there are slots for
//	conn      reads commands one at a time, rewrites replies, owns DATA
//	go-smtp   keeps the order of the commands
//	session   collects the envelope, asks the Backend, gives each its reply
//
// The library never sees the bytes of a message and never touches a deadline:
// conn hands it one clean command at a time and, after the message went into
// the Spool, the lone dot that ends it. So the end of a message is found by one
// strict reader here (only CRLF.CRLF ends it), and whatever goes wrong while
// reading ends the connection before anything of a body can be taken for a
// command.
package lmtp
