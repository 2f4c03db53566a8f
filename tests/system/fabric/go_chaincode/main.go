// A chaincode written with Fabric's own library for Go, which tests let our Gateway client drive. It is told
// what it is by the environment of our own chaincode server (docs/formats/chaincode-service.md).
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"

	"github.com/hyperledger/fabric-chaincode-go/v2/pkg/cid"
	"github.com/hyperledger/fabric-chaincode-go/v2/shim"
	"github.com/hyperledger/fabric-protos-go-apiv2/peer"
)

type chaincode struct{}

func (chaincode) Init(shim.ChaincodeStubInterface) *peer.Response {
	return shim.Success(nil)
}

func (chaincode) Invoke(stub shim.ChaincodeStubInterface) *peer.Response {
	name, arguments := stub.GetFunctionAndParameters()
	answer, err := run(stub, name, arguments)
	if err != nil {
		return shim.Error(err.Error())
	}
	return shim.Success(answer)
}

func run(stub shim.ChaincodeStubInterface, name string, arguments []string) ([]byte, error) {
	switch {
	case name == "put" && len(arguments) == 2:
		if err := stub.PutState(arguments[0], []byte(arguments[1])); err != nil {
			return nil, err
		}
		return []byte(stub.GetTxID()), stub.SetEvent("put", []byte(arguments[0]))
	case name == "get" && len(arguments) == 1:
		return stub.GetState(arguments[0])
	case name == "caller" && len(arguments) == 0:
		return caller(stub)
	case name == "only" && len(arguments) == 1:
		return nil, cid.AssertAttributeValue(stub, "tallystick.roles", arguments[0])
	}
	return nil, fmt.Errorf("no such transaction: %s", name)
}

// What Fabric's library reads of the certificate that our authority issued.
func caller(stub shim.ChaincodeStubInterface) ([]byte, error) {
	msp, err := cid.GetMSPID(stub)
	if err != nil {
		return nil, err
	}
	told := map[string]string{"msp": msp}
	for _, name := range []string{"hf.EnrollmentID", "tallystick.roles"} {
		value, found, err := cid.GetAttributeValue(stub, name)
		if err != nil {
			return nil, err
		}
		if found {
			told[name] = value
		}
	}
	return json.Marshal(told)
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
