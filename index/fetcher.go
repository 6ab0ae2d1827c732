package index

import "errors"

var errTransfer = errors.New("the transfer broke off")
