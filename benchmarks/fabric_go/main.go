// The chaincode of benchmarks/fabric_put.py once more, on Fabric's library for Go. It is told what it is by the
// environment of our own chaincode server (docs/formats/chaincode-service.md).
package main

import (
	"fmt"
	"log"
	"os"
	"strconv"

	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
)

type chaincode struct{}

func (chaincode) Init(shim.ChaincodeStubInterface) *peer.Response {
	return shim.Success(nil)
}

func (chaincode) Invoke(stub shim.ChaincodeStubInterface) *peer.Response {
	name, arguments := stub.GetFunctionAndParameters()
	if err := run(stub, name, arguments); err != nil {
		return shim.Error(err.Error())
	}
	return shim.Success([]byte("done"))
}

func run(stub shim.ChaincodeStubInterface, name string, arguments []string) error {
	switch {
	case name == "put" && len(arguments) == 2:
		return stub.PutState(arguments[0], []byte(arguments[1]))
	case name == "put_many" && len(arguments) == 3:
		return putMany(stub, arguments[0], arguments[1], []byte(arguments[2]))
	}
	return fmt.Errorf("no such transaction: %s", name)
}

func putMany(stub shim.ChaincodeStubInterface, prefix, count string, value []byte) error {
	keys, err := strconv.Atoi(count)
	if err != nil {
		return err
	}
	stub.StartWriteBatch()
	for number := range keys {
		if err := stub.PutState(fmt.Sprintf("%s/%d", prefix, number), value); err != nil {
			return err
		}
	}
	return stub.FinishWriteBatch()
}

func file(variable string) []byte {
	data, err := os.ReadFile(os.Getenv(variable))
	if err != nil {
		log.Fatal(err)
	}
	return data
}

func main() {
	server := shim.ChaincodeServer{
		CCID:    os.Getenv("CHAINCODE_ID"),
		Address: os.Getenv("CHAINCODE_SERVER_ADDRESS"),
		CC:      chaincode{},
		TLSProps: shim.TLSProperties{
			Key:           file("CHAINCODE_TLS_KEY"),
			Cert:          file("CHAINCODE_TLS_CERT"),
			ClientCACerts: file("CHAINCODE_CLIENT_CA_CERT"),
		},
	}
	log.Fatal(server.Start())
}
