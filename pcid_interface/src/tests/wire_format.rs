//! Every message both ways, to the byte, against bincode 1.

use proptest::prelude::*;

use super::mirror;
use crate::message::{Request, Response, ServerError};
use crate::types::{
    Bar, Feature, FeatureInfo, FeatureStatus, FullDeviceId, LegacyInterruptLine,
    MessageAddressAndData, MsiInfo, MsiSetFeatureInfo, MsixInfo, PciAddress, PciFunction, PciRom,
    PhandledInterrupt, SetFeatureInfo, SubdriverArguments, VendorCapability,
};

fn feature() -> impl Strategy<Value = Feature> {
    prop_oneof![Just(Feature::Msi), Just(Feature::MsiX)]
}

fn set_feature_info() -> impl Strategy<Value = SetFeatureInfo> {
    let message = any::<Option<(u64, u32)>>();
    prop_oneof![
        (any::<Option<u8>>(), message, any::<Option<u32>>()).prop_map(
            |(multi_message_enable, message, mask_bits)| {
                SetFeatureInfo::Msi(MsiSetFeatureInfo {
                    multi_message_enable,
                    message_address_and_data: message
                        .map(|(address, data)| MessageAddressAndData { address, data }),
                    mask_bits,
                })
            }
        ),
        any::<Option<bool>>().prop_map(|function_mask| SetFeatureInfo::MsiX { function_mask }),
    ]
}

fn request() -> impl Strategy<Value = Request> {
    prop_oneof![
        Just(Request::EnableDevice),
        Just(Request::RequestConfig),
        Just(Request::RequestFeatures),
        Just(Request::RequestVendorCapabilities),
        feature().prop_map(Request::EnableFeature),
        feature().prop_map(Request::FeatureInfo),
        set_feature_info().prop_map(Request::SetFeatureInfo),
        any::<u16>().prop_map(Request::ReadConfig),
        any::<(u16, u32)>().prop_map(|(offset, value)| Request::WriteConfig(offset, value)),
    ]
}

fn bar() -> impl Strategy<Value = Bar> {
    prop_oneof![
        Just(Bar::None),
        any::<(u32, u32)>().prop_map(|(address, size)| Bar::Memory32 { address, size }),
        any::<(u64, u64)>().prop_map(|(address, size)| Bar::Memory64 { address, size }),
        any::<u16>().prop_map(Bar::Port),
    ]
}

fn line() -> impl Strategy<Value = LegacyInterruptLine> {
    let phandled = any::<Option<(u32, [u32; 3], usize)>>();
    (any::<u8>(), phandled).prop_map(|(irq, phandled)| LegacyInterruptLine {
        irq,
        phandled: phandled.map(|(phandle, address, cells)| PhandledInterrupt {
            phandle,
            address,
            cells,
        }),
    })
}

fn arguments() -> impl Strategy<Value = SubdriverArguments> {
    let address = any::<(u16, u8, u8, u8)>();
    let bars = prop::array::uniform6(bar());
    let rom = any::<Option<(u32, u32, bool)>>();
    let id = any::<(u16, u16, u8, u8, u8, u8)>();
    (address, bars, rom, prop::option::of(line()), id).prop_map(
        |(address, bars, rom, legacy_interrupt_line, id)| SubdriverArguments {
            function: PciFunction {
                address: PciAddress {
                    segment: address.0,
                    bus: address.1,
                    device: address.2,
                    function: address.3,
                },
                bars,
                rom: rom.map(|(address, size, enabled)| PciRom {
                    address,
                    size,
                    enabled,
                }),
                legacy_interrupt_line,
                full_device_id: FullDeviceId {
                    vendor_id: id.0,
                    device_id: id.1,
                    class: id.2,
                    subclass: id.3,
                    interface: id.4,
                    revision: id.5,
                },
            },
        },
    )
}

fn feature_info() -> impl Strategy<Value = FeatureInfo> {
    prop_oneof![
        any::<(u8, bool, bool)>().prop_map(
            |(log2_multiple_message_capable, is_64bit, has_per_vector_masking)| {
                FeatureInfo::Msi(MsiInfo {
                    log2_multiple_message_capable,
                    is_64bit,
                    has_per_vector_masking,
                })
            }
        ),
        any::<(u8, u32, u16, u8, u32)>().prop_map(
            |(table_bar, table_offset, table_size, pba_bar, pba_offset)| {
                FeatureInfo::MsiX(MsixInfo {
                    table_bar,
                    table_offset,
                    table_size,
                    pba_bar,
                    pba_offset,
                })
            }
        ),
    ]
}

fn response() -> impl Strategy<Value = Response> {
    let status = prop_oneof![Just(FeatureStatus::Enabled), Just(FeatureStatus::Disabled)];
    let error = prop_oneof![
        feature().prop_map(ServerError::NonexistentFeature),
        Just(ServerError::InvalidBitPattern)
    ];
    let capability =
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|data| VendorCapability { data });
    prop_oneof![
        Just(Response::EnabledDevice),
        arguments().prop_map(Response::Config),
        prop::collection::vec(feature(), 0..3).prop_map(Response::AllFeatures),
        prop::collection::vec(capability, 0..6).prop_map(Response::VendorCapabilities),
        feature().prop_map(Response::FeatureEnabled),
        (feature(), status).prop_map(|(feature, status)| Response::FeatureStatus(feature, status)),
        error.prop_map(Response::Error),
        (feature(), feature_info())
            .prop_map(|(feature, info)| Response::FeatureInfo(feature, info)),
        feature().prop_map(Response::SetFeatureInfo),
        any::<u32>().prop_map(Response::ReadConfig),
        Just(Response::WriteConfig),
    ]
}

proptest! {
    #[test]
    fn every_request_is_bincodes_to_the_byte(request in request()) {
        let theirs = bincode::serialize(&mirror::PcidClientRequest::from(request)).unwrap();
        prop_assert_eq!(&request.encode(), &theirs);
        prop_assert_eq!(Request::decode(&theirs), Ok(request));
        prop_assert_eq!(bincode::deserialize::<mirror::PcidClientRequest>(&request.encode()).unwrap(), request.into());
    }

    #[test]
    fn every_response_is_bincodes_to_the_byte(response in response()) {
        let theirs = bincode::serialize(&mirror::PcidClientResponse::from(response.clone())).unwrap();
        prop_assert_eq!(&response.encode(), &theirs);
        prop_assert_eq!(&Response::decode(&theirs), &Ok(response.clone()));
        prop_assert_eq!(bincode::deserialize::<mirror::PcidClientResponse>(&response.encode()).unwrap(), response.clone().into());
        let framed = response.encode_with_length();
        prop_assert_eq!(&framed[..8], (theirs.len() as u64).to_le_bytes());
        prop_assert_eq!(&framed[8..], theirs);
    }
}

#[test]
fn a_request_in_bytes() {
    assert_eq!(
        Request::EnableFeature(Feature::MsiX).encode(),
        [4, 0, 0, 0, 1, 0, 0, 0]
    );
    assert_eq!(
        Request::WriteConfig(0x44, 0x1234_5678).encode(),
        [8, 0, 0, 0, 0x44, 0, 0x78, 0x56, 0x34, 0x12]
    );
    let mask = SetFeatureInfo::MsiX {
        function_mask: Some(true),
    };
    assert_eq!(
        Request::SetFeatureInfo(mask).encode(),
        [6, 0, 0, 0, 1, 0, 0, 0, 1, 1]
    );
}

#[test]
fn a_function_is_named_as_schemes_are() {
    let address = PciAddress {
        segment: 0,
        bus: 0,
        device: 4,
        function: 0,
    };
    assert_eq!(
        PciFunction {
            address,
            ..PciFunction::default()
        }
        .name(),
        "pci-0000-00-04.0"
    );
    let address = PciAddress {
        segment: 0x123,
        bus: 0xab,
        device: 0x1f,
        function: 7,
    };
    assert_eq!(
        PciFunction {
            address,
            ..PciFunction::default()
        }
        .name(),
        "pci-0123-ab-1f.7"
    );
}
