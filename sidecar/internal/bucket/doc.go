// Package bucket keeps bytes in S3, or in what speaks its protocol. What it is
// given is sealed already.
package bucket
