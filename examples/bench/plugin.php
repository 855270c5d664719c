<?php
/**
 * Plugin Name: The least that a plugin costs
 *
 * Does what a webhook asks for by WordPress's own functions and nothing else, so that the benchmark can tell what any
 * plugin costs at least. It listens to `php_action`, so that both can be asked at one address. It is no example to follow.
 */

add_action(
	'init',
	function () {
		$action = $_REQUEST['php_action'] ?? '';
		if ( ! in_array( $action, array( 'test', 'update_tags', 'update', 'add' ), true ) ) {
			return;
		}
		$settings = get_option( 'wpf_options' );
		if ( ! hash_equals( $settings['access_key'], (string) ( $_REQUEST['access_key'] ?? '' ) ) ) {
			least_answer( 403, array( 'result' => 'refused' ) );
		}
		if ( 'test' === $action ) {
			least_answer( 200, array( 'success' => true ) );
		}
		$asked  = json_decode( file_get_contents( 'php://input' ), true );
		$id     = least_find( $asked['id'], $asked['email'] );
		$person = least_fetch( $settings, $asked['id'] );
		if ( ! $id && 'add' === $action ) {
			$result = least_add( $settings, $person );
		} else {
			$result = least_update( $settings, $id, $person, 'update_tags' !== $action );
		}
		least_answer( 200, array( 'result' => $result ) );
	}
);

/** The user with this contact id: by the address first, which has an index. */
function least_find( $contact, $email ) {
	$user = get_user_by( 'email', $email );
	if ( $user && get_user_meta( $user->ID, 'bento_contact_id', true ) === $contact ) {
		return $user->ID;
	}
	$found = get_users(
		array(
			'meta_key'   => 'bento_contact_id',
			'meta_value' => $contact,
			'fields'     => 'ID',
			'number'     => 1,
		)
	);
	return $found ? (int) $found[0] : 0;
}

/** The person as Bento knows them. */
function least_fetch( $settings, $contact ) {
	$answer = wp_remote_get(
		BENTO_WEBHOOKS_API_URL . '/fetch/subscribers?' . http_build_query(
			array(
				'site_uuid' => $settings['site_uuid'],
				'uuid'      => $contact,
			)
		),
		array(
			'headers'         => array( 'Authorization' => 'Basic ' . base64_encode( $settings['bento_api_key'] ) ),
			'sslcertificates' => BENTO_WEBHOOKS_CA_FILE,
		)
	);
	if ( is_wp_error( $answer ) || 200 !== wp_remote_retrieve_response_code( $answer ) ) {
		least_answer( 503, array( 'result' => 'failed' ) );
	}
	return json_decode( wp_remote_retrieve_body( $answer ), true )['data']['attributes'];
}

/** Fields by their names in WordPress, and tags by theirs. */
function least_values( $settings, $person ) {
	$values = array();
	foreach ( $settings['contact_fields'] as $name => $field ) {
		if ( ! empty( $field['active'] ) && isset( $person['fields'][ $field['crm_field'] ] ) ) {
			$values[ $name ] = sanitize_text_field( $person['fields'][ $field['crm_field'] ] );
		}
	}
	return $values;
}

function least_tags( $settings, $person ) {
	return array_values( array_intersect_key( $settings['bento_tag_ids'], array_flip( $person['cached_tag_ids'] ) ) );
}

/** Writes what differs, as WordPress's functions do by themselves. */
function least_update( $settings, $id, $person, $with_fields ) {
	$changed = false;
	if ( $with_fields ) {
		$values = least_values( $settings, $person );
		$own    = array_intersect_key( $values, array_flip( array( 'user_url', 'display_name' ) ) );
		if ( $own ) {
			$user = get_userdata( $id );
			foreach ( $own as $name => $value ) {
				$changed = $changed || $user->$name !== $value;
			}
			if ( $changed ) {
				wp_update_user( array( 'ID' => $id ) + $own );
			}
		}
		foreach ( array_diff_key( $values, $own ) as $name => $value ) {
			$changed = (bool) update_user_meta( $id, $name, $value ) || $changed;
		}
	}
	$changed = (bool) update_user_meta( $id, 'bento_tags', least_tags( $settings, $person ) ) || $changed;
	least_log( $id, 'Loaded from Bento.' );
	return $changed ? 'applied' : 'unchanged';
}

/** Makes the user. */
function least_add( $settings, $person ) {
	$id = wp_insert_user(
		array(
			'user_login' => $person['email'],
			'user_email' => $person['email'],
			'user_pass'  => wp_generate_password( 12, false ),
		)
	);
	update_user_option( $id, 'default_password_nag', true );
	update_user_meta( $id, 'bento_contact_id', $person['uuid'] );
	least_update( $settings, $id, $person, true );
	return 'applied';
}

function least_log( $id, $message ) {
	global $wpdb;
	$wpdb->insert(
		$wpdb->prefix . 'wpf_logging',
		array(
			'timestamp' => current_time( 'mysql' ),
			'level'     => 200,
			'user'      => $id,
			'source'    => 'bench',
			'message'   => $message,
		)
	);
}

function least_answer( $status, $answer ) {
	wp_send_json( $answer, $status );
}
